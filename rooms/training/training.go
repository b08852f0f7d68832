// Package training teaches the practice's people what no program does for them:
// to say at once that something felt odd. It protects against the hour in which
// nobody dared to tell.
//
// Field studies show that lessons hardly change who presses a link; passkeys and
// closed devices do the guarding. So lessons are short and few, practice messages
// are nudges, and what is counted is reporting. Whoever misses gets one calm
// screen and nobody else hears of it: what a person did is shown to that person
// alone. Nothing is counted as a person's act that a program could have done, see
// package human.
package training

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training/human"
	"quietroom/rooms/training/lesson"
	"quietroom/rooms/training/lure"
)

//go:embed schema
var schema embed.FS

//go:embed all:pages
var pages embed.FS

//go:embed static/act.js
var actScript []byte

// Person is somebody who works in the practice now.
type Person struct {
	ID        id.Person
	Name      string
	Addresses []string // where they read mail; the first one gets practice messages
	Roles     []string
	Joined    time.Time
}

// People knows who works in the practice now.
type People interface {
	People(ctx context.Context) ([]Person, error)
}

// Notices takes a notice to one of the practice's people.
type Notices interface {
	Notify(ctx context.Context, tx *store.Tx, n layer.Notice) error
}

// Message is one practice message.
type Message struct {
	To                                         id.Person
	Address, From, Subject, Text, HTML, Marker string
}

// ErrUnsent means that no mail server is set up: practice messages wait.
var ErrUnsent = errors.New("training: no mail server is set")

// Post hands practice messages to the practice's mail.
type Post interface {
	// Post queues a message in the transaction; ErrUnsent without a mail server.
	Post(ctx context.Context, tx *store.Tx, m Message) (letter string, err error)
	// Became tells "waiting", "sent", "refused", "dropped", or "" if it is forgotten.
	Became(ctx context.Context, letter string) (state, code string, at time.Time, err error)
}

// Scanner looks at a file for malware before anybody else does.
type Scanner interface {
	// Scan returns "clean", "malware", or "not-known" where no engine could say.
	Scan(ctx context.Context, content []byte) (string, error)
}

// Config is what the room needs from the house.
type Config struct {
	DB           *store.DB
	Ledger       *ledger.Ledger
	Now          func() time.Time
	Practice     string   // its id, to which boxes are bound
	Key          seal.Key // seals what people reported, and names tokens; lies outside of the database
	Origin       string   // where people find the house
	MadeUp       bool     // a demo
	PracticeName func() string
	People       People
	Notices      Notices
	Post         Post
	Scanner      Scanner // nil: nobody scans, and pages say so
	Own          fs.FS   // the practice's own lessons, *.md; may be nil
	Log          *slog.Logger
}

// Training is the room. See New.
type Training struct {
	Config
	pages   *web.Pages
	lessons []lesson.Lesson
	lures   []lure.Lure
	woken   chan struct{}
	sabotage
	listening

	mu      sync.Mutex
	fetches map[[2]string]int // month and why: counted here, written down each minute
}

// sabotage weakens one protection at a time, for the drill.
type sabotage struct{ clicksOfGets bool }

// New makes the room; its tables exist after store.Migrate with Layer().Schema.
func New(c Config) *Training {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &Training{Config: c, pages: web.MustPages(pages), lessons: lesson.All(), lures: lure.All(), woken: make(chan struct{}, 1), fetches: map[[2]string]int{}}
	t.pages.Now = c.Now
	return t
}

// Layer describes the room to the house.
func (t *Training) Layer() layer.Layer {
	return layer.Layer{
		Name:     "training",
		Schema:   schema,
		Mount:    t.mount,
		Evidence: t.evidence,
		Drills:   []layer.Drill{t.drill()},
		Jobs: []layer.Job{
			{Name: "practice messages", Every: 5 * time.Minute, Wake: t.woken, Run: t.turn},
			{Name: "remind", Every: time.Hour, Run: t.remind},
			{Name: "write down fetches", Every: time.Minute, Run: t.writeFetches},
			{Name: "read the report mailbox", Every: 2 * time.Minute, Run: t.readMailbox},
			{Name: "forget", Every: 24 * time.Hour, Run: t.forget},
		},
		Offboard: t.offboard,
		Knock:    t.knock,
	}
}

func (t *Training) slot(kind, record string) seal.Slot {
	return seal.Slot{Kind: kind, Practice: t.Practice, Record: record}
}

// tag is a keyed hash: the same each time, and of no use without the key.
func (t *Training) tag(what, value string) string {
	k := t.Key.Derive("training "+what+" v1", value)
	return hex.EncodeToString(k[:16])
}

// draw is a number from 0 up to, but not including, n, that nobody outside can
// foresee and that is the same each time.
func (t *Training) draw(n int, what string, of ...string) int {
	k := t.Key.Derive("training draw "+what+" v1", of...)
	sum := sha256.Sum256(k[:])
	var v uint64
	for _, b := range sum[:8] {
		v = v<<8 | uint64(b)
	}
	return int(v % uint64(n))
}

// people are those who work here now, by id.
func (t *Training) people(ctx context.Context) (map[id.Person]Person, []Person, error) {
	all, err := t.People.People(ctx)
	if err != nil {
		return nil, nil, err
	}
	by := map[id.Person]Person{}
	for _, p := range all {
		by[p.ID] = p
	}
	return by, all, nil
}

func (t *Training) wake() {
	select {
	case t.woken <- struct{}{}:
	default:
	}
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// count adds a fetch to those that are written down within a minute: a scanner
// that comes a thousand times costs no thousand writes.
func (t *Training) count(month string, why human.Why) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetches[[2]string{month, string(why)}]++
}
