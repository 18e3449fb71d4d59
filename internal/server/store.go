package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/sqlite"
)

// DefaultStore is the store that is used unless said otherwise.
const DefaultStore = "sqlite:longrun.db"

// storeFile returns the file that a store's address names.
func storeFile(addr string) (string, error) {
	file, ok := strings.CutPrefix(cmp.Or(addr, DefaultStore), "sqlite:")
	if ok && file != "" {
		return file, nil
	}
	p := &Problem{Msg: fmt.Sprintf("%q is not the address of a store", addr), Hint: "a store is sqlite:FILE, such as " + DefaultStore, Usage: true}
	if addr != "" && !strings.Contains(addr, ":") {
		p.Hint = "did you mean --store sqlite:" + addr + "?"
	}
	return "", p
}

// openStore opens the store at addr.
func openStore(addr string, log *slog.Logger) (longrun.Store, error) {
	file, err := storeFile(addr)
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(file, sqlite.Options{Log: log})
	if err != nil {
		return nil, storeProblem(file, err)
	}
	return s, nil
}

// Check verifies a store's file that no server has open: that it is whole, and that
// its records fit together. It returns what is wrong and changes nothing. A file
// that cannot be looked at is a *Problem.
func Check(ctx context.Context, file string) ([]Finding, error) {
	file = strings.TrimPrefix(file, "sqlite:")
	found, err := sqlite.Check(ctx, file)
	if err != nil {
		p := storeProblem(file, err)
		if errors.Is(err, sqlite.ErrInUse) {
			p.Hint = "stop the server first, or copy its store with longrun backup and check the copy"
		}
		return nil, p
	}
	var all []Finding
	for _, p := range found {
		all = append(all, Finding{Text: oneLine(p.Text), Hint: oneLine(p.Hint)})
	}
	return all, nil
}

// Finding is something that is wrong in a store, in one line, and what to do about
// it, in another.
type Finding struct{ Text, Hint string }
