package migrate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func files(names ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for _, n := range names {
		fs["migration/"+n] = &fstest.MapFile{Data: []byte("-- " + n)}
	}
	return fs
}

func TestRead(t *testing.T) {
	t.Parallel()
	all, err := Read(files("0002_b.sql", "0001_a.sql"), "migration")
	if err != nil {
		t.Fatal(err)
	}
	want := "[{1 0001_a.sql -- 0001_a.sql} {2 0002_b.sql -- 0002_b.sql}]"
	if got := fmt.Sprint(all); got != want {
		t.Errorf("Read = %s, want %s", got, want)
	}
}

func TestRead_Refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		names []string
		says  string
	}{
		{nil, "read migrations"},
		{[]string{"0002_b.sql"}, "want number 1"},
		{[]string{"0001_a.sql", "0003_c.sql"}, "want number 2"},
		{[]string{"0001_a.sql", "0001_b.sql"}, "want number 2"},
		{[]string{"1_a.sql"}, "want a name"},
		{[]string{"0001_a.txt"}, "want a name"},
		{[]string{"readme.md"}, "want a name"},
	} {
		if _, err := Read(files(tt.names...), "migration"); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Read(%v) = %v, want an error with %q", tt.names, err, tt.says)
		}
	}
	if _, err := Read(fstest.MapFS{"migration": {Mode: 1 << 31}}, "migration"); err == nil {
		t.Error("Read of an empty directory = nil, want an error")
	}
}

func TestUp(t *testing.T) {
	t.Parallel()
	all := []Migration{{Version: 1}, {Version: 2}, {Version: 3}}
	sorry := errors.New("sorry")
	for _, tt := range []struct {
		current, fails int
		ran            string
		reached        int
	}{
		{0, 0, "[1 2 3]", 3},
		{2, 0, "[3]", 3},
		{3, 0, "[]", 3},
		{0, 2, "[1 2]", 1},
	} {
		ran := []int{}
		version, err := Up(all, tt.current, func(m Migration) error {
			ran = append(ran, m.Version)
			if m.Version == tt.fails {
				return sorry
			}
			return nil
		})
		if got := fmt.Sprint(ran); got != tt.ran || version != tt.reached || (err != nil) != (tt.fails > 0) {
			t.Errorf("Up from %d ran %s and reached %d, %v, want %s and %d", tt.current, got, version, err, tt.ran, tt.reached)
		}
		if tt.fails > 0 && !errors.Is(err, sorry) {
			t.Errorf("Up = %v, want the migration's error in it", err)
		}
	}
}

func TestUp_Newer(t *testing.T) {
	t.Parallel()
	for _, current := range []int{2, -1} {
		_, err := Up([]Migration{{Version: 1}}, current, func(Migration) error {
			t.Error("a migration was run")
			return nil
		})
		newer, ok := errors.AsType[*NewerError](err)
		if !ok || newer.Have != current || newer.Want != 1 {
			t.Errorf("Up from %d = %v, want a NewerError", current, err)
		}
	}
	if got, want := (&NewerError{Have: 9, Want: 2}).Error(), "schema version 9 is newer than this program, which knows up to 2"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
