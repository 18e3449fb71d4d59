// Package migrate reads numbered schema migrations and says which are to be run.
//
// A store embeds files such as migration/0001_first.sql, migration/0002_index.sql.
// The version of a schema is the number of the last one it has had.
//
//	//go:embed migration/*.sql
//	var files embed.FS
//
//	all, err := migrate.Read(files, "migration")
//	version, err := migrate.Up(all, current, func(m migrate.Migration) error {
//		return run(m.SQL, m.Version) // both in one transaction
//	})
//
// # Rules
//
// Migrations go forward only and are never edited once released: a database that
// has had one must be the same as a database that has it ahead. Each runs in a
// transaction of its own, which also records the new version, so that a crash
// leaves the one version or the other.
//
// # Limits
//
// Numbers begin at 1 and have no gaps, so that a version alone says what a schema
// has had. A database that is newer than the program is refused with a
// *NewerError: nobody knows what is in it.
package migrate
