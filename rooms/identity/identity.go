// Package identity knows the people of the practice: their doors (passkeys and
// personal codes), their seeds, the teams whose keys they hold, and their
// sessions. It protects against somebody else signing in, against a forged list
// of people or keys, and against a copied session.
//
// A door opens a person's seed; the seed opens team keys; a session holds team
// keys, sealed under its cookie, and never the seed. Nothing a person chooses
// or remembers opens anything, and nobody can be prompted: there is no password
// and no push (NIST SP 800-63B, phishing-resistant authentication).
package identity

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
)

//go:embed schema
var schema embed.FS

//go:embed pages/*.html
var pages embed.FS

// Roles over people. What one may open is decided by teams, not by roles.
const (
	Owner      = seal.Owner
	Clinician  = "clinician"
	Supervisor = "supervisor"
	FrontDesk  = "front-desk"
	Billing    = "billing"
)

// Kinds of teams.
const (
	DirectoryTeam = "directory" // names and contacts of all patients
	CareTeam      = "care"      // charts; each clinician is also a team of one
	BillingTeam   = "billing"
)

// Errors that callers act upon.
var (
	// ErrNoDoor means that no door of this house opens with what was shown.
	ErrNoDoor = errors.New("identity: no door opens with this")
	// ErrNoKey means that the person is in no team that holds the key.
	ErrNoKey = errors.New("identity: the key belongs to a team this person is not in")
	// ErrNoTeam means that the person has no care team of its own.
	ErrNoTeam = errors.New("identity: this person has no care team of its own; only clinicians take in patients")
	// ErrFounded means that the practice has its first owner already.
	ErrFounded = errors.New("identity: this practice is founded already")
	// ErrForged means that the list of people and keys is not the practice's own.
	ErrForged = errors.New("identity: the list of people and keys was changed from outside; nothing is opened")
)

// Anchor keeps, outside the database, which practice this is and the
// fingerprint of its first roster entry. Whoever replaces the database as a
// whole does not replace the anchor. Several requests ask it at the same time.
type Anchor interface {
	Practice() string
	Root() []byte // nil until the practice is founded
	SetRoot([]byte) error
}

// Config is what identity needs from the house.
type Config struct {
	DB     *store.DB
	Anchor Anchor
	Now    func() time.Time
	MadeUp bool // a demo or trial house: personal codes are not used up
	// Origin is where browsers find the house: https://vault.example.org. For a
	// house that is tried out it is http://localhost, with any port. Passkeys are
	// bound to it (WebAuthn Level 3, 5.1.2): whoever changes it closes them all.
	Origin string
	// KeptKey seals what servers of one house share of sessions, taps and approvals
	// in PostgreSQL: all of them need the same one, which the database never sees.
	KeptKey seal.Key
	// Notify sends a notice about somebody's own account, in the transaction of the
	// act; nil where the house sends no mail. It may be set until the house is served.
	Notify func(ctx context.Context, tx *store.Tx, n layer.Notice) error
	// Leave closes the doors of temporary staff in all rooms on the last day, in one
	// transaction; nil closes those of this room. It may be set until the house is served.
	Leave func(ctx context.Context, tx *store.Tx, l layer.Leaving) error
}

// Identity is the room. See New.
type Identity struct {
	Config
	acts sync.Mutex // one change of the roster at a time in this process

	mu     sync.Mutex // guards the checked chain
	chain  []seal.Signed
	roster *seal.Roster
	grew   bool // this process wrote entries since
	marks  marks

	founded atomic.Bool
	kept    kept
	limits  *limits
	refused refusals
	demos   demos
	pages   *web.Pages
}

// New makes the room; its tables exist after store.Migrate with Schema.
func New(c Config) *Identity {
	i := &Identity{Config: c, kept: keeper(c.DB, c.KeptKey), limits: newLimits(c.Now), pages: web.MustPages(pages)}
	i.pages.Now = c.Now
	return i
}

// Layer describes the room to the house.
func (i *Identity) Layer() layer.Layer {
	return layer.Layer{
		Name:     "identity",
		Schema:   schema,
		Mount:    i.mount,
		Evidence: i.evidence,
		Drills:   []layer.Drill{i.pushSpam(), i.cookieTheft()},
		Jobs: []layer.Job{
			{Name: "sweep sign-ins that ended", Every: time.Minute, Run: i.sweep},
			{Name: "close doors on somebody's last day", Every: 10 * time.Minute, Run: i.closeEnded},
		},
	}
}

// sweep forgets what has ended and writes down what was refused.
func (i *Identity) sweep(ctx context.Context) error {
	i.limits.sweep()
	if err := i.tellRefusals(ctx, 0); err != nil {
		return err
	}
	if err := i.sweepWaits(ctx); err != nil {
		return err
	}
	return i.kept.sweep(ctx, i.Now(), mostCeremonies)
}

// Roster returns the signed chain as it stands, checked from its first entry
// on. The caller changes nothing in it.
func (i *Identity) Roster(ctx context.Context) (*seal.Roster, error) {
	r, _, err := i.checkedChain(ctx)
	return r, err
}

// known returns the list as this process read it last, without asking the
// database where it need not: each request and each list of teams reads it anew,
// and a key may be asked for inside of a transaction.
func (i *Identity) known(ctx context.Context) (*seal.Roster, error) {
	i.mu.Lock()
	r, grew := i.roster, i.grew
	i.mu.Unlock()
	if r != nil && !grew {
		return r, nil
	}
	return i.Roster(ctx)
}

// checkedChain reads entries that came since the last call and checks them.
// Entries that were checked before are not read again; whoever changes them in
// the database is noticed by the pin at the next sign-in and by Recheck.
func (i *Identity) checkedChain(ctx context.Context) (*seal.Roster, []seal.Signed, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.roster != nil && !i.grew && i.DB.Kind() == store.SQLite {
		return i.roster, i.chain, nil // this process is the only writer
	}
	news, err := readChain(ctx, i.DB, uint64(len(i.chain)))
	i.grew = false
	if err != nil {
		return nil, nil, err
	}
	if i.roster == nil {
		if i.Anchor.Root() == nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrForged, errNoAnchor)
		}
		if i.roster, err = seal.ReadRoster(news, i.Anchor.Root()); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrForged, err)
		}
		i.chain = news
		return i.roster, i.chain, nil
	}
	if len(news) > 0 {
		next := i.roster.Clone()
		for _, s := range news {
			if err := next.Add(s); err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrForged, err)
			}
		}
		i.roster, i.chain = next, append(i.chain[:len(i.chain):len(i.chain)], news...)
	}
	return i.roster, i.chain, nil
}

// Recheck forgets what was checked, and checks the whole chain again.
func (i *Identity) Recheck(ctx context.Context) error {
	i.forget()
	_, err := i.Roster(ctx)
	return err
}

func (i *Identity) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.chain, i.roster, i.marks = nil, nil, marks{}
}

// listGrew has the new entries read at the next use.
func (i *Identity) listGrew() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.grew = true
}

func (i *Identity) teamSlot(holder string, team id.Team, epoch uint64) seal.Slot {
	return seal.Slot{Kind: "team-key", Practice: i.Anchor.Practice(), Holder: holder, Subject: string(team), Version: epoch}
}

func (i *Identity) seedSlot(person id.Person, door string) seal.Slot {
	return seal.Slot{Kind: "seed", Practice: i.Anchor.Practice(), Holder: door, Subject: string(person)}
}

func (i *Identity) pinSlot(person id.Person) seal.Slot {
	return seal.Slot{Kind: "pin", Practice: i.Anchor.Practice(), Holder: string(person), Subject: string(person)}
}
