"""Backups: whole copies of the database with the files that are attached to it, checked before they count.

A folder of backups holds any number of them, and each attached file once:

    daily-20261125T190206Z-12.db        the database, as SQLite keeps it
    daily-20261125T190206Z-12.json      what the backup is (manifest.py, build/schemas/backup-1.json)
    files/8f/8f43…                      an attached file under its SHA-256, shared by all backups

A backup is there exactly when its manifest is: that is written last, in one step. Everything can be used
without Deskside: the database opens in any SQLite, and the manifest holds its SHA-256.

With a passphrase the contents are files of age (https://age-encryption.org/v1), the database as `….db.age`
and each attached file as `files/2c/2c91….age`, named by a keyed hash. They are encrypted to a key pair, so
that making a backup needs no passphrase; the private key is in each manifest, itself encrypted with the
passphrase in age's own way (scrypt). What stays readable is the manifest: dates, sizes, the number of rows.

    jq -r .encryption.identity daily-….json > key.age
    age --decrypt -i key.age daily-….db.age > deskside.db
"""
