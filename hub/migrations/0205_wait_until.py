from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0204_commands"),
    ]

    operations = [
        migrations.AddField(
            model_name="repository",
            name="wait_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
