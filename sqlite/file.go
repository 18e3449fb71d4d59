package sqlite

import (
	"embed"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/longrun-dev/longrun/internal/migrate"
	"google.golang.org/grpc/codes"
	"zombiezen.com/go/sqlite"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// applicationID marks our files, in the header that file(1) shows too: "LRUN".
const applicationID = 0x4c52554e

// header is what the first hundred bytes of a file say.
type header struct {
	empty   bool // there is no file, or nothing in it
	version int  // of the schema
}

// findFile returns the real path of a database, so that each has one lock.
func findFile(verb, file string) (string, error) {
	if file == "" {
		return "", openError(verb, codes.InvalidArgument, file, "no file is named")
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", openError(verb, codes.InvalidArgument, file, "%v", err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", openError(verb, codes.NotFound, file, "its directory does not exist")
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

// readHeader looks at a file that SQLite does not have open, and refuses what is
// not ours.
func readHeader(verb, file string) (header, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return header{empty: true}, nil
	}
	if err != nil {
		return header{}, advise(openError(verb, codes.FailedPrecondition, file, "cannot be read: %v", err), "it must be readable and writable for who serves it")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return header{}, advise(openError(verb, codes.FailedPrecondition, file, "cannot be read: %v", err), "it must be readable and writable for who serves it")
	}
	if !info.Mode().IsRegular() {
		return header{}, advise(because(ErrForeign, openError(verb, codes.FailedPrecondition, file, "is not a file")), "name a file")
	}
	// The lock is of a name. Another name of the same file would have another.
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Nlink > 1 {
		return header{}, advise(because(ErrLinked, openError(verb, codes.FailedPrecondition, file, "has more than one name (a hard link), and a server may have it open by another")),
			"leave it one name, by removing the others, or copy it")
	}
	if info.Size() == 0 {
		return header{empty: true}, nil
	}
	var b [100]byte
	if _, err := io.ReadFull(f, b[:]); err != nil {
		return header{}, notSQLite(verb, file)
	}
	return parseHeader(verb, file, b, info.Size(), walSize(file))
}

func notSQLite(verb, file string) error {
	return advise(because(ErrForeign, openError(verb, codes.FailedPrecondition, file, "is not a SQLite database, or its beginning is damaged")),
		"name the file of a store; if it was one: "+hintRestore)
}

// parseHeader reads the first bytes of a database of so many bytes, beside a log
// of so many.
func parseHeader(verb, file string, b [100]byte, size, wal int64) (header, error) {
	if string(b[:16]) != "SQLite format 3\x00" {
		return header{}, notSQLite(verb, file)
	}
	id, version := binary.BigEndian.Uint32(b[68:]), binary.BigEndian.Uint32(b[60:])
	if id != applicationID {
		return header{}, advise(because(ErrForeign, openError(verb, codes.FailedPrecondition, file, "is the SQLite database of another program")), "name the file of a store")
	}
	page := int64(binary.BigEndian.Uint16(b[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 || b[21] != 64 || b[22] != 32 || b[23] != 32 {
		return header{}, damaged(verb, file, "its header is wrong")
	}
	// While a log is being copied, the header may say more than the file has.
	if pages := int64(binary.BigEndian.Uint32(b[28:])); wal == 0 && (pages*page > size || size%page != 0) {
		return header{}, damaged(verb, file, "it is shorter than it should be")
	}
	return header{version: int(version)}, nil
}

func damaged(verb, file, why string) error {
	return advise(openError(verb, codes.DataLoss, file, "is damaged: %s", why), hintSave)
}

func walSize(file string) int64 {
	info, err := os.Stat(file + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// inspect refuses a file that is ours and whose schema cannot be read or is
// newer than ours.
func (c *conn) inspect(verb, file string, all []migrate.Migration) error {
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return damaged(verb, file, err.Error())
	}
	if _, err := migrate.Up(all, int(version), func(migrate.Migration) error { return nil }); err != nil {
		return advise(because(ErrForeign, openError(verb, codes.FailedPrecondition, file, "%v", err)), "use the program that wrote it, or a newer one")
	}
	if version == 0 {
		return damaged(verb, file, "it has no schema")
	}
	// The ends of every tree of ours: what is torn off or overwritten shows.
	for _, query := range []string{
		"SELECT count(*) FROM sqlite_schema",
		"SELECT ceiling FROM longrun_clock",
		"SELECT min(create_time) FROM longrun_operation", "SELECT max(create_time) FROM longrun_operation",
		"SELECT min(id) FROM longrun_operation", "SELECT max(id) FROM longrun_operation",
		"SELECT count(*) FROM (SELECT 1 FROM longrun_session LIMIT 1)",
		"SELECT count(*) FROM (SELECT 1 FROM longrun_key LIMIT 1)",
		"SELECT count(*) FROM (SELECT 1 FROM longrun_step LIMIT 1)",
		"SELECT count(*) FROM (SELECT 1 FROM longrun_request LIMIT 1)",
		"SELECT count(*) FROM (SELECT 1 FROM longrun_secret LIMIT 1)",
	} {
		if _, err := c.number(query); err != nil {
			return damaged(verb, file, err.Error())
		}
	}
	return nil
}

// upgrade brings the schema up to date. A new file gets its application id in
// the commit that makes the first tables, before there is a log, so that a crash
// leaves an empty file or one of ours.
//
// Only its owner can read a new file, as it holds requests and results; what
// SQLite puts beside it is as the file is.
func upgrade(file string, all []migrate.Migration) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	c, err := openConn(file, sqlite.OpenReadWrite|sqlite.OpenCreate, "synchronous = FULL")
	if err != nil {
		return err
	}
	defer c.close()
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	_, err = migrate.Up(all, int(version), c.migrate)
	return err
}

func (c *conn) migrate(m migrate.Migration) (err error) {
	if err := c.exec(sqlBegin, nil); err != nil {
		return err
	}
	defer func() {
		if err != nil && !c.AutocommitEnabled() {
			err = errors.Join(err, c.exec(sqlRollback, nil))
		}
	}()
	if err := c.script(m.SQL); err != nil {
		return err
	}
	if err := c.pragmaNumber("application_id", applicationID); err != nil {
		return err
	}
	if err := c.pragmaNumber("user_version", m.Version); err != nil {
		return err
	}
	return c.exec(sqlCommit, nil)
}
