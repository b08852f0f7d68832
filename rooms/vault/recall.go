package vault

import (
	"context"
	"sync"

	"quietroom/ground/id"
)

// rowMemory holds sealed rows, wraps and facts as they were read last, and no key
// and nothing opened: a page asks for the same ones several times, and the next
// page of the same chart again. It is good for one version of the database only.
// As soon as anybody commits anything, it is empty.
type rowMemory struct {
	mu      sync.Mutex
	version uint64
	things  map[place]any
	size    int
}

// place is what was read, of whom.
type place struct {
	patient id.Patient
	part    string
	what    string // "wraps", "facts", "heads", or a record's identifier
}

// mostRecalled bounds what is held, in bytes; mostOfOne a single thing.
const (
	mostRecalled = 4 << 20
	mostOfOne    = 64 << 10
)

// stamp is the version of the database that an act goes by; none where the
// database cannot tell.
type stamp struct {
	version uint64
	known   bool
}

func (v *Vault) stamp(ctx context.Context) (s stamp) {
	s.version, s.known = v.DB.Version(ctx)
	return s
}

// recall returns what was read already of a patient, if nobody had written to the
// database since when the stamp was taken, and else reads it. Nobody may change
// what it returns.
func recall[T any](v *Vault, now stamp, at place, size func(T) int, read func() (T, error)) (T, error) {
	if !now.known {
		return read()
	}
	if thing, ok := v.rows.get(now.version, at); ok {
		return thing.(T), nil
	}
	thing, err := read()
	if err == nil {
		v.rows.put(now.version, at, thing, size(thing))
	}
	return thing, err
}

func (m *rowMemory) get(version uint64, at place) (any, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.version != version {
		return nil, false
	}
	thing, ok := m.things[at]
	return thing, ok
}

// put keeps what was read after the database had this version.
func (m *rowMemory) put(version uint64, at place, thing any, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if version < m.version || size > mostOfOne {
		return
	}
	if version > m.version || m.size+size > mostRecalled {
		m.version, m.things, m.size = version, map[place]any{}, 0
	}
	m.things[at] = thing
	m.size += size
}

// forget empties the memory at once: somebody was erased.
func (m *rowMemory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.things, m.size = map[place]any{}, 0
}
