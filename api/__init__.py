"""HTTP: cases, images, holds, the inbox, accounts, status and health."""
