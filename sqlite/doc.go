// Package sqlite keeps operations in one file.
//
//	store, err := sqlite.Open("longrun.db", sqlite.Options{})
//	if err != nil {
//		return err // one line: in use by pid 7 on db1, damaged, of another program ...
//	}
//	defer store.Close()
//	svc, err := longrun.New(store, longrun.Options{})
//
// # What can be relied on
//
// A write that has returned nil is on disk: concurrent writes share a commit, and
// every commit is flushed (internal/groupcommit). A process that is killed loses
// nothing that was answered. [Check] verifies a file.
//
// Most writes are simple - an operation is created, runs, ends - and are committed
// to a redo log, FILE.redo-a and FILE.redo-b, of which the tables get what became
// of them within a tenth of a second. Whatever reads the tables waits for that
// first, so that the log shows only as speed, and as files: after a crash it has
// operations that FILE has not, until FILE is opened again.
//
// A file has one owner. Open locks FILE.lock for as long as the store is open and
// refuses a second server, naming the first. Because the owner is alone, beats of
// sessions are kept in memory, recent records are read from memory, and sessions
// of the process that owned the file before are dead as soon as it is opened, so
// that their work goes on at once.
//
// When the disk is full or fails, writes are Unavailable and reads go on; writes
// go on when there is space again.
//
// # Tables of your own
//
// An author's tables may live in the same file, so that an operation is started
// in the commit that changes them. (A second copy of SQLite in the process could
// corrupt the file: use these, not another driver.)
//
//	err = store.Tx(ctx, func(tx *sqlite.Tx) error {
//		op, err := longrun.Start(ctx, svc, Translate, req, longrun.StartOptions{In: tx})
//		...
//		return sqlitex.Execute(tx.Conn(), "INSERT INTO job ...", nil)
//	})
//
// A Begin hook does the same with [Write]. Rules:
//
//   - Names that begin with longrun_ are ours. They may be read, and their columns
//     may change with a version.
//   - All writes wait while a function of yours runs. Keep it short, reset its
//     statements, and do not call the store's own methods that write in it.
//   - Foreign keys are not enforced on this connection.
//
// # Limits
//
// The file must be on a local disk: locks and the shared memory of the log do not
// work over a network. Removed operations leave room in the file that is used
// again; the file does not become smaller.
//
// # Backups
//
// A store that is in use is copied by [Store.Backup] into a file, or by
// [Store.Stream] to anybody; one that nobody has open by [Backup]. A copy made by
// other means, while the store is open, is broken.
//
//	err := store.Backup(ctx, "longrun-2026-11-21.db", sqlite.BackupOptions{})
//
// What is wrong with a file is found by [Check], with a hint what to do; [Hint] has
// one for a file that is refused.
package sqlite
