package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrLocked means that another server has the directory.
var ErrLocked = errors.New("another Quietroom server uses this directory; stop it first, or choose another directory")

// Held is the right to serve a directory. It ends with the process, however that dies.
type Held struct {
	pool *sql.DB
	conn *sql.Conn
}

// Lock takes a directory for this process, or says at once that another server
// has it (ErrLocked). The lock is an exclusive transaction on run/lock.db, so
// that one way serves every operating system.
func Lock(dir string) (*Held, error) {
	modernLocks()
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	path, err := filepath.Abs(filepath.Join(dir, "run", "lock.db"))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := makePrivate(path); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	pool, err := sql.Open("sqlite", sqliteAddress(path, url.Values{"_pragma": {"busy_timeout(0)"}}))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	conn, err := pool.Conn(context.Background())
	if err == nil {
		_, err = conn.ExecContext(context.Background(), `BEGIN EXCLUSIVE`)
	}
	if err != nil {
		pool.Close()
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqlite3.SQLITE_BUSY {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return &Held{pool, conn}, nil
}

// Release gives the directory back.
func (l *Held) Release() error {
	_, err := l.conn.ExecContext(context.Background(), `ROLLBACK`)
	return errors.Join(err, l.conn.Close(), l.pool.Close())
}
