//go:build !linux

package sqlite

import "testing"

func smallFileSystem(t *testing.T, _ int) string {
	t.Helper()
	t.Skip("a small file system is mounted on Linux alone")
	return ""
}
