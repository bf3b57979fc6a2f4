"""The pixel screen: every frame of an image is read for burned-in text."""
