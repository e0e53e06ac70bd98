"""The rows every hub begins with: its identity, the Project `default` (denies everything), the append-only audit."""

import secrets

from django.db import migrations

SQLITE = [
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON hub_auditevent
       BEGIN SELECT RAISE(ABORT, 'audit rows cannot be changed'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON hub_auditevent
       WHEN OLD.at > datetime('now', '-400 days')
       BEGIN SELECT RAISE(ABORT, 'audit rows are kept for 400 days'); END""",
]
POSTGRES = [
    """CREATE FUNCTION hub_audit_guard() RETURNS trigger AS $$
       BEGIN
         IF TG_OP = 'UPDATE' THEN RAISE EXCEPTION 'audit rows cannot be changed'; END IF;
         IF OLD.at > clock_timestamp() - interval '400 days' THEN
           RAISE EXCEPTION 'audit rows are kept for 400 days';
         END IF;
         RETURN OLD;
       END $$ LANGUAGE plpgsql""",
    """CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON hub_auditevent
       FOR EACH ROW EXECUTE FUNCTION hub_audit_guard()""",
]


def triggers(apps, schema_editor):
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRES:
        schema_editor.execute(statement)


def drop_triggers(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER audit_no_update")
        schema_editor.execute("DROP TRIGGER audit_no_delete")
    else:
        schema_editor.execute("DROP TRIGGER audit_guard ON hub_auditevent")
        schema_editor.execute("DROP FUNCTION hub_audit_guard()")


def first_rows(apps, schema_editor):
    # Historical models have the field's descriptor too, so the key is encrypted like any other secret.
    identity = apps.get_model("hub", "HubIdentity")(id=secrets.token_hex(6))
    identity.mask_key = secrets.token_hex(32)
    identity.save()
    apps.get_model("hub", "Project").objects.create(
        name="default", description="Denies everything until somebody says what is allowed"
    )
    shard = apps.get_model("hub", "Shard")
    shard.objects.bulk_create([shard(number=number) for number in range(64)])


class Migration(migrations.Migration):
    dependencies = [("hub", "0001_initial")]
    operations = [
        migrations.RunPython(first_rows, migrations.RunPython.noop),
        migrations.RunPython(triggers, drop_triggers),
    ]
