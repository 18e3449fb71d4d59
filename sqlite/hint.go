package sqlite

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/longrun-dev/longrun"
)

// Hint returns what to do about an error of Open, Check or Backup that refuses a
// file, in one line for people; "" where there is nothing to say.
func Hint(err error) string {
	if a, ok := errors.AsType[*advice](err); ok {
		return a.text
	}
	return ""
}

// advice is among the causes of an error about which something can be done.
type advice struct{ text string }

// Error returns what can be done.
func (a *advice) Error() string { return a.text }

// advise adds what to do to an error.
func advise(e *longrun.Error, text string) *longrun.Error {
	e.Err = errors.Join(&advice{text: text}, e.Err)
	return e
}

// What to do about a file in which more is wrong than one statement can mend.
const (
	hintRestore = "keep the file, its -wal and its .redo- files as they are, restore a backup under another name, and serve that"
	hintSave    = hintRestore + "; without a backup: docs/operating.md, \"After a crash\", says how to save what can be read"
)

// hintRedo is for a redo log that does not fit its file.
const hintRedo = "if the file or its .redo- files were moved or copied, bring those together that belong together; otherwise " + hintRestore

// hintServe is for what the owner of the file mends by itself.
const hintServe = "nothing need be done: the server that opens the file mends it"

// inCopy is a hint to run a statement. It names no file, so that it is not pasted
// without a thought: a file that somebody has mended is worth less than a
// backup, and one that was mended wrongly, nothing.
func inCopy(sql string) string {
	return fmt.Sprintf(`with a copy of the file, and of its -wal and .redo- files if there are any: sqlite3 COPY "%s", and check the copy`, sql)
}

// The statements that mend. Each is right whatever else is in the file.
var (
	// Below the floor what runs is found in the index, above it by its state: with
	// a floor of 0 nothing depends on the index.
	mendIndex   = inCopy("UPDATE longrun_operation SET session = NULL; UPDATE longrun_clock SET floor = 0")
	mendReindex = inCopy("REINDEX")
	mendSteps   = inCopy("DELETE FROM longrun_step WHERE create_time NOT IN (SELECT create_time FROM longrun_operation WHERE state < 3)")
	mendRequest = inCopy("DELETE FROM longrun_request WHERE create_time NOT IN (SELECT create_time FROM longrun_operation)")
	// Who has lost a key in the index of holders gets it back, or another one does,
	// when a server sweeps.
	mendKey = inCopy("DELETE FROM longrun_key WHERE NOT EXISTS (SELECT 1 FROM longrun_operation AS o WHERE o.create_time = holder "+
		"AND o.conflict_key = longrun_key.conflict_key AND (o.state = 2 OR o.ready_time IS NOT NULL))") + "; then a server that opens it gives the key to the next one"
	mendClock = inCopy("INSERT OR IGNORE INTO longrun_clock (only, ceiling, floor, store) VALUES (1, 0, 0, randomblob(16)); UPDATE longrun_clock SET ceiling = " +
		"max(ceiling, unixepoch() * 1000000, (SELECT coalesce(max(create_time), 0) FROM longrun_operation), (SELECT coalesce(max(open_time), 0) FROM longrun_session))")
)

// hintTwoAhead is for operations that share a key and both go ahead.
const hintTwoAhead = "serve the file, and cancel the operation if it must not run beside the one that holds the key"

// indexOnly is what integrity_check says when a table is whole and an index is not
// as it should be.
var indexOnly = regexp.MustCompile(`^(row \d+ missing from index|wrong # of entries in index|non-unique entry in index) `)

// hintIntegrity is what to do about something that integrity_check says.
func hintIntegrity(text string) string {
	if indexOnly.MatchString(text) {
		return mendReindex
	}
	return hintSave
}

// hintReference is what to do about rows of a table that refer to nothing.
func hintReference(table string) string {
	switch table {
	case "longrun_operation":
		return mendIndex
	case "longrun_step":
		return mendSteps
	case "longrun_request":
		return mendRequest
	case "longrun_key":
		return mendKey
	}
	return hintRestore
}

// hintLost is what to do about an operation that cannot be run or read any more.
func hintLost(rowid int64) string {
	return hintRestore + "; or forget the operation: " + inCopy(fmt.Sprintf("DELETE FROM longrun_operation WHERE create_time = %d; "+
		"DELETE FROM longrun_request WHERE create_time = %[1]d; DELETE FROM longrun_step WHERE create_time = %[1]d; DELETE FROM longrun_key WHERE holder = %[1]d", rowid))
}

// plainName is what needs no quotes, in SQL and in a shell: a damaged or foreign
// file may say anything.
var plainName = regexp.MustCompile(`^(index|trigger) [a-z0-9_]+$`)

// hintForeign is what to do about something that others have made on our tables.
func hintForeign(name string) string {
	if !plainName.MatchString(name) {
		return "remove it in a copy of the file, and check the copy"
	}
	return inCopy("DROP " + name)
}

// hintMissing is what to do about a table or an index that is not there, or there
// as something else.
func hintMissing(name, sql, got string) string {
	kind, _, _ := strings.Cut(name, " ")
	switch {
	case kind != "index":
		return hintSave
	case got != "":
		return inCopy("DROP " + name + "; " + sql)
	}
	return inCopy(sql)
}
