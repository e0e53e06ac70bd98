from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hub", "0205_consent"),
    ]

    operations = [
        migrations.AddField(
            model_name="repository",
            name="wait_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
