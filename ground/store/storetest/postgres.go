// Package storetest gives tests real databases, and the suite of promises that
// both of them keep.
package storetest

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// server is the one PostgreSQL of a test binary.
var server struct {
	once  sync.Once
	dir   string
	err   error
	leash io.WriteCloser // held as long as this process lives
	made  atomic.Int64
}

var errAbsent = errors.New("no PostgreSQL in /usr/lib/postgresql/*/bin (apt-get install postgresql)")

// Postgres returns the address of a fresh, empty database on a real PostgreSQL,
// which is started once in a test binary and gone with it. Without Debian's
// packages, and under -short, the test is skipped; where CI is 1 it fails.
func Postgres(t testing.TB) string {
	t.Helper()
	name := create(t)
	t.Cleanup(func() { admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return address(server.dir, name)
}

// LastingPostgres is as Postgres, for what several benchmarks stand on: the
// database is gone with the test binary.
func LastingPostgres(b *testing.B) string {
	b.Helper()
	name := create(b) // starts the server
	return address(server.dir, name)
}

func create(t testing.TB) (name string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a PostgreSQL server is not started under -short")
	}
	server.once.Do(func() { server.dir, server.err = startPostgres() })
	if errors.Is(server.err, errAbsent) && os.Getenv("CI") != "1" {
		t.Skip(server.err)
	}
	if server.err != nil {
		t.Fatal(server.err)
	}
	name = fmt.Sprintf("house%d", server.made.Add(1))
	admin(t, "CREATE DATABASE "+name)
	return name
}

func admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", address(server.dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func address(dir, database string) string {
	return "postgres://quietroom@/" + database + "?host=" + url.QueryEscape(dir)
}

// script makes a cluster and serves it on a socket in a private directory, until
// its standard input ends: with the test binary, however that dies. So nothing
// is left behind, not even after kill -9.
const script = `
cd "$2"
PATH="$1:$PATH"
{ initdb -D data -U quietroom -A trust -E UTF8 --locale=C --no-sync &&
  exec postgres -D data -k "$2" -c listen_addresses= -c shared_buffers=32MB -c max_connections=50 -c fsync=on \
    -c max_wal_size=256MB -c logging_collector=off
} >log 2>&1 </dev/null &
read _
kill -INT $! ; wait $! ; rm -rf "$2"`

func startPostgres() (dir string, err error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("/tmp", "quietroom-pg"); err != nil { // short: a socket's path has at most 107 bytes
		return "", err
	}
	cmd := exec.Command("sh", "-c", script, "sh", bin, dir)
	if err := unprivileged(cmd, dir); err != nil {
		return "", err
	}
	if server.leash, err = cmd.StdinPipe(); err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start PostgreSQL: %w", err)
	}
	return dir, waitFor(dir)
}

func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 || runtime.GOOS != "linux" {
		return "", errAbsent
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func waitFor(dir string) error {
	db, err := sql.Open("pgx", address(dir, "postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	for range 600 {
		if err = db.Ping(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
}
