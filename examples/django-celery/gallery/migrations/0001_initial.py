"""The table of uploads."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates it."""

    initial = True
    operations = [  # noqa: RUF012 - as Django writes it
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("file", models.FileField(upload_to="uploads")),
                ("requested_at", models.DateTimeField(auto_now_add=True)),
                ("engine", models.CharField(blank=True, max_length=16)),
                ("thumbnails", models.JSONField(default=dict)),
                ("picture", models.TextField(blank=True)),
                ("error", models.TextField(blank=True)),
                ("ready_at", models.DateTimeField(null=True)),
                ("shadow", models.JSONField(default=dict)),
            ],
        )
    ]
