package fhir

import (
	"os"
	"path/filepath"
	"testing"
)

// samples is the folder of the nine sample patients, which lies beside the
// repository.
func samples(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the sample patients are left out by -short")
	}
	dir := os.Getenv("QUIETROOM_SHARED")
	if dir == "" {
		dir = filepath.Join(repository(t), "..", "shared")
	}
	dir = filepath.Join(dir, "data", "fhir-r4-synthea")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "1" {
			t.Fatalf("the sample patients are missing: %v", err)
		}
		t.Skip("the sample patients are not here: set QUIETROOM_SHARED")
	}
	return dir
}

func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}
