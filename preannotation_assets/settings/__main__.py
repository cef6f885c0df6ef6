"""``python -m preannotation_assets.settings`` prints the README's table of settings."""

import sys

from preannotation_assets.settings.table import settings_table

sys.stdout.write(settings_table())
