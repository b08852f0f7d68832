package exchange_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk is a disk of 24 MB, in memory, with a ballast to be removed.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		if os.Getenv("CI") == "1" && !testing.Short() {
			t.Fatalf("a small disk cannot be mounted (are you root?): %v", err)
		}
		t.Skipf("a small disk cannot be mounted (are you root?): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 14<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
