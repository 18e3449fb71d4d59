package migrate

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Migration is one step of a schema.
type Migration struct {
	Version int    // from 1
	Name    string // of the file
	SQL     string // one or more statements
}

// NewerError says that a database has had migrations that the program does not
// know.
type NewerError struct {
	Have int // the database's version
	Want int // the newest version that the program knows
}

// Error returns both versions.
func (e *NewerError) Error() string {
	return fmt.Sprintf("schema version %d is newer than this program, which knows up to %d", e.Have, e.Want)
}

// Read returns the migrations in dir, in order. A file that is not named
// NNNN_words.sql, a gap, a repeated number, and an empty directory are errors.
func Read(files fs.FS, dir string) ([]Migration, error) {
	entries, err := fs.ReadDir(files, dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []Migration
	for _, entry := range entries {
		name := entry.Name()
		version, err := versionOf(name)
		if err != nil {
			return nil, err
		}
		if version != len(all)+1 {
			return nil, fmt.Errorf("migration %q: want number %d", name, len(all)+1)
		}
		text, err := fs.ReadFile(files, path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		all = append(all, Migration{Version: version, Name: name, SQL: string(text)})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read migrations: none in %q", dir)
	}
	return all, nil
}

func versionOf(name string) (int, error) {
	number, rest, _ := strings.Cut(name, "_")
	version, err := strconv.Atoi(number)
	if err != nil || len(number) != 4 || !strings.HasSuffix(rest, ".sql") {
		return 0, fmt.Errorf("migration %q: want a name such as 0001_first.sql", name)
	}
	return version, nil
}

// Up calls run for each of all, which Read returned, that a schema of version
// current has not had, in order, and returns the version reached. It stops at
// run's first error and wraps it. A schema that is newer than all is a
// *NewerError and left alone. Version 0 is an empty database.
func Up(all []Migration, current int, run func(Migration) error) (int, error) {
	if current > len(all) || current < 0 {
		return current, &NewerError{Have: current, Want: len(all)}
	}
	for _, m := range all[current:] {
		if err := run(m); err != nil {
			return current, fmt.Errorf("migrate to version %d: %w", m.Version, err)
		}
		current = m.Version
	}
	return current, nil
}
