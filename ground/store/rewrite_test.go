package store_test

import (
	"testing"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

// TestADeletedKeyIsGoneFromPostgreSQLsFiles: a deleted row lies in the table's
// file until it is written anew.
func TestADeletedKeyIsGoneFromPostgreSQLsFiles(t *testing.T) {
	db, err := store.Open(t.Context(), storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{`CREATE TABLE keys (box TEXT)`, `INSERT INTO keys VALUES ('a-key-that-is-to-go'), ('a-key-that-stays')`, `DELETE FROM keys WHERE box = 'a-key-that-is-to-go'`} {
		if err := db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.ExecContext(t.Context(), s); return err }); err != nil {
			t.Fatal(err)
		}
	}
	lies := func(key string) (there bool) {
		t.Helper()
		err := db.QueryRowContext(t.Context(), `SELECT position($1::text::bytea IN pg_read_binary_file(pg_relation_filepath('keys'))) > 0`, key).Scan(&there)
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	if _, err := db.Rewrite(t.Context()); err != nil { // the file on disk is as the tables are
		t.Fatal(err)
	}
	if !lies("a-key-that-is-to-go") {
		t.Fatal("the deleted key is gone already: nothing would be shown")
	}
	turned, err := db.Rewrite(t.Context(), "keys")
	if err != nil || !turned {
		t.Fatalf("turned %v, %v", turned, err)
	}
	if lies("a-key-that-is-to-go") || !lies("a-key-that-stays") {
		t.Errorf("gone: %v, stays: %v", !lies("a-key-that-is-to-go"), lies("a-key-that-stays"))
	}
}
