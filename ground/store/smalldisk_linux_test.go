package store_test

import (
	"os"
	"syscall"
	"testing"
)

// smallDisk is a disk of 16 MB, in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		if os.Getenv("CI") == "1" && !testing.Short() {
			t.Fatalf("a small disk cannot be mounted (are you root?): %v", err)
		}
		t.Skipf("a small disk cannot be mounted (are you root?): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
