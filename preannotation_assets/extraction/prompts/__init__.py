"""The prompt templates, one file a version. A template is never edited once it was used: copy it."""
