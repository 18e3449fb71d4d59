package server

import (
	"cmp"
	"context"
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
// its records fit together. It returns what is wrong, a line each, and changes
// nothing. A file that cannot be looked at is a *Problem.
func Check(ctx context.Context, file string) ([]string, error) {
	file = strings.TrimPrefix(file, "sqlite:")
	found, err := sqlite.Check(ctx, file)
	if err != nil {
		return nil, storeProblem(file, err)
	}
	var lines []string
	for _, p := range found {
		lines = append(lines, oneLine(p.Text))
	}
	return lines, nil
}
