package migrate_test

import (
	"fmt"
	"testing/fstest"

	"github.com/longrun-dev/longrun/internal/migrate"
)

func Example() {
	files := fstest.MapFS{
		"migration/0001_first.sql": {Data: []byte("CREATE TABLE a (x)")},
		"migration/0002_more.sql":  {Data: []byte("CREATE TABLE b (x)")},
	}
	all, err := migrate.Read(files, "migration")
	if err != nil {
		fmt.Println(err)
		return
	}
	version, err := migrate.Up(all, 1, func(m migrate.Migration) error {
		fmt.Println("run", m.SQL)
		return nil
	})
	fmt.Println("now at", version, err)
	// Output:
	// run CREATE TABLE b (x)
	// now at 2 <nil>
}
