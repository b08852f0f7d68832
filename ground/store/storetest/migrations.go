package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"quietroom/ground/store"
)

func schema(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys["schema/"+files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

// TestMigrations checks what Migrate promises, on an empty database.
func TestMigrations(t *testing.T, open func() *store.DB) {
	db := open()
	one := schema("0001_beds.sql", `CREATE TABLE beds (id BIGINT PRIMARY KEY); INSERT INTO beds VALUES (1);`)
	two := schema("0001_beds.sql", string(one["schema/0001_beds.sql"].Data),
		"0002_seen.sqlite.sql", `ALTER TABLE beds ADD COLUMN seen INTEGER NOT NULL DEFAULT 7;`,
		"0002_seen.postgres.sql", `ALTER TABLE beds ADD COLUMN seen BIGINT NOT NULL DEFAULT 7;`)

	t.Run("a room without tables has nothing to do", func(t *testing.T) {
		if err := db.Migrate(t.Context(), "empty", fstest.MapFS{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("each migration runs once, over two servers that start together", func(t *testing.T) {
		other := open()
		together(6, func(i int) {
			if err := []*store.DB{db, other}[i%2].Migrate(t.Context(), "beds", one); err != nil {
				t.Error(err)
			}
		})
		wantSum(t, db, `SELECT COALESCE(SUM(id), 0) FROM beds`, 1)
		for room := range 20 {
			name := fmt.Sprintf("room%d", room)
			fsys := schema("0001_it.sql", "CREATE TABLE "+name+" (id BIGINT)")
			together(2, func(i int) {
				if err := []*store.DB{db, other}[i].Migrate(t.Context(), name, fsys); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Run("a torn migration leaves nothing", func(t *testing.T) {
		torn := schema("0001_beds.sql", "SELECT 1;",
			"0002_torn.sql", `CREATE TABLE half (id BIGINT); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);`)
		if err := db.Migrate(t.Context(), "beds", torn); err == nil || !strings.Contains(err.Error(), "0002_torn.sql") {
			t.Fatalf("got %v, want an error that names the file", err)
		}
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM half`).Scan(&n); err == nil {
			t.Fatal("half a migration is there")
		}
		wantSum(t, db, `SELECT MAX(version) FROM store_versions WHERE room = 'beds'`, 1)
	})
	t.Run("the next version adds", func(t *testing.T) {
		for range 2 {
			if err := db.Migrate(t.Context(), "beds", two); err != nil {
				t.Fatal(err)
			}
		}
		wantSum(t, db, `SELECT SUM(seen) FROM beds`, 7)
	})
	t.Run("an older program refuses a newer database and says what to do", func(t *testing.T) {
		err := open().Migrate(t.Context(), "beds", one)
		if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "install the newer program, nothing was changed") {
			t.Fatalf("got %v, want ErrNewer and its sentence", err)
		}
	})
	t.Run("gaps and odd names are refused", func(t *testing.T) {
		for _, fsys := range []fstest.MapFS{schema("0002_gap.sql", "SELECT 1"), schema("first.sql", "SELECT 1")} {
			if err := db.Migrate(t.Context(), "odd", fsys); err == nil {
				t.Errorf("%v was taken", fsys)
			}
		}
	})
}

func wantSum(t *testing.T, db *store.DB, query string, want int) {
	t.Helper()
	var got int
	if err := db.QueryRowContext(t.Context(), query).Scan(&got); err != nil || got != want {
		t.Fatalf("%s: got %d (%v), want %d", query, got, err, want)
	}
}
