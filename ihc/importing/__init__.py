"""Turn exports of shops and of tracking tools into the input tables."""
