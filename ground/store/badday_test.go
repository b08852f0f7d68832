package store_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
)

var pairs = fstest.MapFS{"schema/0001_pairs.sql": {Data: []byte(
	`CREATE TABLE pairs (id BIGINT NOT NULL, half BIGINT NOT NULL, box BYTEA NOT NULL, PRIMARY KEY (id, half));`)}}

func openPairs(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(t.Context(), "pairs", pairs); err != nil {
		t.Fatal(err)
	}
	return db
}

func addPair(ctx context.Context, db *store.DB, id int64, box []byte) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		for half := range 2 {
			if _, err := tx.ExecContext(ctx, `INSERT INTO pairs (id, half, box) VALUES ($1, $2, $3)`, id, half, box); err != nil {
				return err
			}
		}
		return nil
	})
}

func count(t *testing.T, db *store.DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMain turns this binary into a server to be killed, where asked to.
func TestMain(m *testing.M) {
	if address := os.Getenv("QUIETROOM_VICTIM"); address != "" {
		victim(address, os.Getenv("QUIETROOM_VICTIM_LOCK"))
	}
	os.Exit(m.Run())
}

// victim updates without end, 8 callers at once, and prints each id as it is acknowledged.
func victim(address, dir string) {
	ctx := context.Background()
	if dir != "" {
		if _, err := store.Lock(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	db, err := store.Open(ctx, address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	first, _ := strconv.ParseInt(os.Getenv("QUIETROOM_VICTIM_FROM"), 10, 64)
	ids, box := make(chan int64), make([]byte, 3000)
	for range 8 {
		go func() {
			for id := range ids {
				if err := addPair(ctx, db, id, box); err != nil {
					fmt.Println(err)
				} else {
					os.Stdout.WriteString(fmt.Sprintln(id)) // one write, so that no line is torn
				}
			}
		}()
	}
	for id := first; ; id++ {
		ids <- id
	}
}

func startVictim(t *testing.T, address, dir string, from int64) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "QUIETROOM_VICTIM="+address, "QUIETROOM_VICTIM_LOCK="+dir, fmt.Sprint("QUIETROOM_VICTIM_FROM=", from))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

func TestAKilledServerLosesNothingThatItAcknowledged(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	if os.Getenv("QUIETROOM_SOAK") == "1" {
		rounds = 200
	}
	t.Run("sqlite", func(t *testing.T) { killRounds(t, filepath.Join(t.TempDir(), "house.db"), rounds) })
	t.Run("postgres", func(t *testing.T) { killRounds(t, storetest.Postgres(t), rounds) })
}

func killRounds(t *testing.T, address string, rounds int) {
	openPairs(t, address).Close()
	total := 0
	for round := range rounds {
		from := int64(round) * 1_000_000
		cmd, out := startVictim(t, address, "", from)
		var acknowledged []string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if len(acknowledged) == 0 {
				time.AfterFunc(time.Duration(round*7%40)*time.Millisecond, func() { cmd.Process.Kill() })
			}
			acknowledged = append(acknowledged, lines.Text())
		}
		cmd.Wait()
		total += len(acknowledged)
		db := openPairs(t, address)
		for _, id := range acknowledged {
			if n := count(t, db, `SELECT count(*) FROM pairs WHERE id = $1`, id); n != 2 {
				t.Fatalf("round %d: note %s was acknowledged, and %d of its 2 rows are there", round, id, n)
			}
		}
		if n := count(t, db, `SELECT count(*) FROM (SELECT id FROM pairs GROUP BY id HAVING count(*) <> 2) AS torn`); n != 0 {
			t.Fatalf("round %d: %d updates are there by half", round, n)
		}
		db.Close()
	}
	if total < rounds {
		t.Fatalf("only %d updates in %d rounds: the test killed too early to prove anything", total, rounds)
	}
	t.Logf("%d kills, %d acknowledged updates, none lost", rounds, total)
}

func TestTwoServersDoNotServeOneDirectory(t *testing.T) {
	dir := t.TempDir()
	held, err := store.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Lock(dir)
	want := "lock " + dir + ": another Quietroom server uses this directory; stop it first, or choose another directory"
	if !errors.Is(err, store.ErrLocked) || err.Error() != want {
		t.Fatalf("got %q, want %q", err, want)
	}
	// A look into the file by any other code of this process must not let go of the lock.
	os.ReadFile(filepath.Join(dir, "run", "lock.db"))
	cmd, out := startVictim(t, filepath.Join(dir, "house.db"), dir, 0)
	said, _ := io.ReadAll(out)
	cmd.Wait()
	if !strings.Contains(string(said), want) {
		t.Fatalf("another process got %q, want %q", said, want)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Lock(dir)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
}

func TestAKilledServerLetsGoOfItsDirectory(t *testing.T) {
	dir := t.TempDir()
	openPairs(t, filepath.Join(dir, "house.db")).Close()
	cmd, out := startVictim(t, filepath.Join(dir, "house.db"), dir, 0)
	if line, _ := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) == "" {
		t.Fatal("the server said nothing")
	}
	if _, err := store.Lock(dir); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("got %v while another server runs, want ErrLocked", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	held, err := store.Lock(dir)
	if err != nil {
		t.Fatalf("after kill -9: %v", err)
	}
	held.Release()
}

func TestAFullDiskStopsWritingAndNotReading(t *testing.T) {
	dir := smallDisk(t)
	db := openPairs(t, filepath.Join(dir, "house.db"))
	box := make([]byte, 50_000)
	rand.Read(box)
	if err := addPair(t.Context(), db, -1, box); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 9<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	full, id := false, int64(0)
	acknowledged := map[int64]bool{-1: true}
	for range 40 {
		type outcome struct {
			id  int64
			err error
		}
		outcomes := make(chan outcome)
		for range 6 {
			id++
			mine := id
			go func() { outcomes <- outcome{mine, addPair(t.Context(), db, mine, box)} }()
		}
		for range 6 {
			o := <-outcomes
			switch {
			case o.err == nil:
				acknowledged[o.id] = true
			case errors.Is(o.err, store.ErrFull):
				full = true
			default:
				t.Fatalf("got %v, want ErrFull", o.err)
			}
		}
	}
	if !full {
		t.Fatal("the disk never filled: the test proves nothing")
	}
	if n := count(t, db, `SELECT count(*) FROM pairs`); n != int64(2*len(acknowledged)) {
		t.Fatalf("on the full disk %d rows can be read, want %d", n, 2*len(acknowledged))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := addPair(t.Context(), db, 1_000_000, box); err != nil {
		t.Fatalf("after space was freed: %v", err)
	}
	for id := range acknowledged {
		if n := count(t, db, `SELECT count(*) FROM pairs WHERE id = $1`, id); n != 2 {
			t.Fatalf("note %d was acknowledged, and %d of its 2 rows are there", id, n)
		}
	}
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sound string
	if err := db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("integrity_check: %s, %v", sound, err)
	}
}

func TestABrokenConnectionIsReplaced(t *testing.T) {
	address := storetest.Postgres(t)
	db := openPairs(t, address)
	killer, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close()
	kill := func() {
		if _, err := killer.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Error(err)
		}
	}
	for id := range int64(5) {
		kill()
		if err := addPair(t.Context(), db, id, []byte("x")); err != nil {
			t.Fatalf("the update after the connection was killed: %v", err)
		}
		if n := count(t, db, `SELECT count(*) FROM pairs WHERE id = $1`, id); n != 2 {
			t.Fatalf("%d rows of 2", n)
		}
	}
	for id := int64(10); id < 14; id++ {
		first := true
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			var backend int
			if err := tx.QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
				return err
			}
			for half := range 2 {
				if err := tx.Send(t.Context(), `INSERT INTO pairs (id, half, box) VALUES ($1, $2, 'x')`, id, half); err != nil {
					return err
				}
			}
			if first {
				if _, err := killer.Exec(`SELECT pg_terminate_backend($1, 10000)`, backend); err != nil { // returns when it is gone
					t.Error(err)
				}
			}
			first = false
			return nil
		}); err != nil {
			t.Fatalf("killed before what was sent arrived: %v", err)
		}
		if n := count(t, db, `SELECT count(*) FROM pairs WHERE id = $1`, id); n != 2 {
			t.Fatalf("%d rows of 2", n)
		}
	}
	runs := 0
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO pairs (id, half, box) VALUES (99, 0, 'x')`); err != nil {
			return err
		}
		if runs++; runs == 1 {
			kill()
		}
		_, err := tx.ExecContext(t.Context(), `INSERT INTO pairs (id, half, box) VALUES (99, 1, 'x')`)
		return err
	}); err != nil {
		t.Fatalf("killed between two statements, before the commit: %v", err)
	}
	if n := count(t, db, `SELECT count(*) FROM pairs WHERE id = 99`); n != 2 || runs != 2 {
		t.Fatalf("%d rows of 2 after %d runs", n, runs)
	}
}

func TestAScrubbedRowIsGoneFromTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "house.db")
	db := openPairs(t, path)
	key := make([]byte, 32)
	rand.Read(key)
	for id := range int64(50) {
		box := make([]byte, 32)
		rand.Read(box)
		if id == 25 {
			box = key
		}
		if err := addPair(t.Context(), db, id, box); err != nil {
			t.Fatal(err)
		}
	}
	if found(t, path, key) == 0 {
		t.Fatal("the key is not in the files before: the test proves nothing")
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DELETE FROM pairs WHERE id = 25`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := found(t, path, key); n != 0 {
		t.Fatalf("the deleted key stands %d times in the files", n)
	}
	if err := addPair(t.Context(), db, 1000, key); err != nil {
		t.Fatalf("an update after scrubbing: %v", err)
	}
}

func found(t *testing.T, path string, key []byte) (n int) {
	t.Helper()
	files, _ := filepath.Glob(path + "*")
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(data, key)
	}
	return n
}

func TestScrubWaitsForAReaderAndSaysSo(t *testing.T) {
	db := openPairs(t, filepath.Join(t.TempDir(), "house.db"))
	for id := range int64(10) {
		if err := addPair(t.Context(), db, id, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.QueryContext(t.Context(), `SELECT id FROM pairs`)
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	if err := addPair(t.Context(), db, 100, []byte("x")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- db.Scrub(t.Context()) }()
	if err := addPair(t.Context(), db, 101, []byte("x")); err != nil {
		t.Fatalf("an update beside a waiting scrub: %v", err)
	}
	rows.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
