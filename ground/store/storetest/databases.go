package storetest

import (
	"path/filepath"
	"testing"

	"quietroom/ground/store"
)

// Databases runs a test against SQLite and PostgreSQL. Each call of open opens
// the same database anew, as another server would; it is closed with the test.
// Under -short it is SQLite alone.
func Databases(t *testing.T, test func(t *testing.T, open func() *store.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, opener(t, filepath.Join(t.TempDir(), "house.db"))) })
	t.Run("postgres", func(t *testing.T) { test(t, opener(t, Postgres(t))) })
}

func opener(t testing.TB, address string) func() *store.DB {
	return func() *store.DB {
		t.Helper()
		db, err := store.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
}
