package glass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/identity"
)

// reasons are why somebody may break the glass: a fixed word for the record of
// events, and what people read.
var reasons = []struct{ Key, Text string }{
	{"danger", "Somebody may be in danger"},
	{"cover", "I am standing in for their clinician"},
	{"unreached", "They need help now, and their clinician cannot be reached"},
	{"asked", "Their clinician asked me to look"},
	{"other", "Something else"},
}

func reasonText(key string) string {
	for _, r := range reasons {
		if r.Key == key {
			return r.Text
		}
	}
	return ""
}

// mostWords bounds what is typed.
const mostWords = 2000

// faultOf says what is missing of a reason; empty if nothing is. Somebody in
// danger waits for no sentence.
func faultOf(reason, words string) string {
	switch {
	case reasonText(reason) == "":
		return "Please choose why you need to open this chart."
	case words == "" && reason != "danger":
		return "Please write one sentence about why. The owner and the patient’s clinicians read it."
	case len(words) > mostWords:
		return "Please be shorter: two or three sentences are enough."
	}
	return ""
}

// parts are the compartments that a broken glass opens.
var parts = []string{layer.PartIdentity, layer.PartChart}

// kept is what a session keeps of a broken glass: keys of one patient, and of
// nobody else.
type kept struct {
	Break   string                       `json:"break"`
	Patient id.Patient                   `json:"patient"`
	Ends    int64                        `json:"ends"` // unix milliseconds
	Parts   map[string]map[uint64][]byte `json:"parts"`
}

func (k *kept) wipe() {
	for _, keys := range k.Parts {
		for _, b := range keys {
			clear(b)
		}
	}
}

// Break opens one patient's chart for 60 minutes to the person whose tap is open
// in ctx: see identity.Tap, with ActBreak and the patient. First the fact and
// those who have to know, in one transaction; then the session keeps the keys.
func (g *Glass) Break(ctx context.Context, p id.Patient, reason, words string) error {
	u, ok := identity.UnlockedFrom(ctx)
	if !ok || faultOf(reason, words) != "" {
		return errors.New("break the glass: without a tap or a reason")
	}
	now := g.Now()
	b := breaking{id: string(id.New[id.Record]()), patient: p, person: u.Person, session: id.From(ctx).Session,
		at: now, ends: now.Add(openFor), due: now.Add(reviewFor), reason: reason}
	k := kept{Break: b.id, Patient: p, Ends: b.ends.UnixMilli(), Parts: map[string]map[uint64][]byte{}}
	defer k.wipe()
	err := g.take(ctx, u, &b, &k)
	if err == nil && words != "" {
		b.words, err = g.Vault.SealWords(ctx, p, b.id, words)
	}
	if err != nil {
		return errors.Join(err, g.refused(ctx, p, err))
	}
	if err := g.tell(ctx, b); err != nil {
		return err
	}
	plain, err := json.Marshal(k)
	if err != nil {
		return err
	}
	defer clear(plain)
	ends := b.ends
	if g.weak.Load() {
		ends = ends.Add(openFor)
	}
	return g.Identity.Keep(ctx, string(p), plain, ends)
}

// take opens the keys of the one patient. The pair exists until it returns.
func (g *Glass) take(ctx context.Context, u *identity.Unlocked, b *breaking, k *kept) error {
	lend, done, err := g.lend(ctx, u)
	if err != nil {
		return err
	}
	defer done()
	for _, part := range parts {
		keys, care, err := g.Vault.PatientKeys(ctx, b.patient, part, lend)
		if errors.Is(err, layer.ErrUnknown) && part != layer.PartIdentity {
			continue // nothing was ever written there
		}
		if errors.Is(err, layer.ErrNotYours) {
			err = fmt.Errorf("%w: %w", ErrNotReached, err)
		}
		if err != nil {
			return err
		}
		k.Parts[part] = map[uint64][]byte{}
		for version, key := range keys {
			k.Parts[part][version] = slices.Clone(key[:])
		}
		clear(keys)
		if part == layer.PartChart {
			b.care = care
		}
	}
	return nil
}

// lend makes the pair for one act of an open person, and returns what opens team
// keys with it: those only that the practice signed. ErrOff, ErrNotYou, ErrNoHalf
// or ErrUnfit says why not.
func (g *Glass) lend(ctx context.Context, u *identity.Unlocked) (lend func(id.Team, uint64) (seal.Key, error), done func(), err error) {
	m, err := g.making(ctx)
	if err != nil {
		return nil, nil, err
	}
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return nil, nil, err
	}
	if who, _ := roster.Person(string(u.Person)); !mayBreak(who) {
		return nil, nil, ErrNotYou
	}
	box, err := g.half(ctx, u.Person, m.making)
	if err != nil {
		return nil, nil, err
	}
	a, err := u.OpenKey(box, seal.GlassSlot(roster.Practice, string(u.Person), m.making))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the half of %s: %w", ErrUnfit, u.Person, err)
	}
	defer a.Wipe()
	house, err := g.House.GlassHalf()
	if err != nil {
		return nil, nil, err
	}
	defer house.Wipe()
	pair, err := seal.GlassPair(a, seal.GlassHalf(house, roster.Practice, m.making), roster.Practice, m.making)
	if err != nil {
		return nil, nil, err
	}
	if public, ok := roster.PublicKey(seal.GlassKey); !ok || !pair.Public().Equal(public) {
		return nil, nil, ErrUnfit
	}
	boxes, err := g.keyBoxes(ctx, g.DB)
	if err != nil {
		return nil, nil, err
	}
	lend = func(team id.Team, epoch uint64) (seal.Key, error) {
		for _, b := range boxes {
			if b.team != team || b.epoch != epoch || pair == nil {
				continue
			}
			key, err := pair.OpenKey(b.box, g.keySlot(roster.Practice, team, epoch))
			if err != nil {
				return key, err
			}
			return key, roster.CheckTeamKey(string(team), epoch, key)
		}
		return seal.Key{}, ErrNotReached
	}
	return lend, func() { pair = nil }, nil
}

// tell writes the breaking, its fact, and what people are told, in one
// transaction. What was open of the same chart before is over.
func (g *Glass) tell(ctx context.Context, b breaking) error {
	people, err := g.concerned(ctx, b)
	if err != nil {
		return err
	}
	name, err := g.Identity.Name(ctx, b.person)
	if err != nil {
		return err
	}
	return g.DB.Update(ctx, func(tx *store.Tx) error {
		if err := endOf(ctx, tx, b.person, b.patient, b.at); err != nil {
			return err
		}
		if err := addBreaking(ctx, tx, b); err != nil {
			return err
		}
		f := ledger.Fact{At: b.at, Actor: id.From(ctx), Kind: "glass.broken", Subject: string(b.patient), Reason: b.reason, Ref: b.id}
		if err := ledger.Append(ctx, tx, f); err != nil || g.Notify == nil {
			return err
		}
		for _, p := range people {
			if err := g.Notify.Notify(ctx, tx, notice(p, name, b)); err != nil {
				return err
			}
		}
		return nil
	})
}

// notice says that it happened, and nothing about whom.
func notice(to id.Person, name string, b breaking) layer.Notice {
	return layer.Notice{
		To:      to,
		Subject: "The glass was broken",
		Text: name + " broke the glass to open one chart that is not theirs, for 60 minutes.\n\n" +
			"Somebody has to look at it within 72 hours. Which chart it was, why, and what was opened stands in Quietroom. If you did not expect this, open the page below: it can be ended there at once.",
		Link: "/glass/review/" + b.id,
	}
}

// concerned are those who have to know at once: the owners, and those who care
// for the patient; not the one who did it.
func (g *Glass) concerned(ctx context.Context, b breaking) (people []id.Person, err error) {
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range roster.People() {
		p := id.Person(name)
		if p != b.person && (owner(roster, p) || cares(roster, b.care, p)) {
			people = append(people, p)
		}
	}
	return people, nil
}

func owner(roster *seal.Roster, p id.Person) bool {
	who, ok := roster.Person(string(p))
	return ok && !who.Gone && slices.Contains(who.Roles, identity.Owner)
}

// cares tells whether a person is in one of the teams.
func cares(roster *seal.Roster, care []id.Team, p id.Person) bool {
	who, ok := roster.Person(string(p))
	return ok && !who.Gone && slices.ContainsFunc(care, func(team id.Team) bool {
		t, _ := roster.Team(string(team))
		return slices.Contains(t.Members, string(p))
	})
}

// refused appends the fact that the glass stayed whole.
func (g *Glass) refused(ctx context.Context, p id.Patient, reason error) error {
	why := "trouble"
	for _, known := range []struct {
		err  error
		word string
	}{{ErrOff, "off"}, {ErrNotYou, "not-entitled"}, {ErrNoHalf, "no-half"}, {ErrUnfit, "not-signed"}, {ErrNotReached, "not-reached"}, {layer.ErrUnknown, "unknown"}, {layer.ErrChanged, "changed"}} {
		if errors.Is(reason, known.err) {
			why = known.word
		}
	}
	return g.DB.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: g.Now(), Actor: id.From(ctx), Kind: "glass.refused", Subject: string(p), Reason: why})
	})
}

// Keys returns the keys of one compartment of one patient that the acting
// session keeps because its person broke the glass; layer.ErrNotYours if it keeps
// none, or if that is over. It is for the vault.
func (g *Glass) Keys(ctx context.Context, p id.Patient, part string) (map[uint64]seal.Key, error) {
	k, err := g.current(ctx, p)
	if err != nil {
		return nil, err
	}
	defer k.wipe()
	keys := map[uint64]seal.Key{}
	for version, b := range k.Parts[part] {
		if keys[version], err = seal.KeyFrom(b); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 {
		return nil, layer.ErrNotYours
	}
	return keys, nil
}

// current is what the session keeps of a patient, if it is not over and nobody
// ended it.
func (g *Glass) current(ctx context.Context, p id.Patient) (k kept, err error) {
	plain, err := g.Identity.Kept(ctx, string(p))
	if errors.Is(err, identity.ErrGone) {
		return k, layer.ErrNotYours
	}
	if err != nil {
		return k, err
	}
	defer clear(plain)
	if err := json.Unmarshal(plain, &k); err != nil {
		return k, fmt.Errorf("read what is kept of a broken glass: %w", err)
	}
	b, err := g.breaking(ctx, k.Break)
	if err != nil && !errors.Is(err, errNoBreaking) {
		k.wipe()
		return k, err
	}
	over := !g.Now().Before(time.UnixMilli(k.Ends)) && !g.weak.Load()
	if err != nil || over || !b.ended.IsZero() || k.Patient != p || b.patient != p || b.session != id.From(ctx).Session {
		k.wipe()
		return k, layer.ErrNotYours
	}
	return k, nil
}

// Broken tells until when the acting session may open this patient's chart under
// a broken glass, and where one ends that early; zero if it may not.
func (g *Glass) Broken(ctx context.Context, p id.Patient) (until time.Time, end string) {
	k, err := g.current(ctx, p)
	if err != nil {
		return time.Time{}, ""
	}
	defer k.wipe()
	return time.UnixMilli(k.Ends), "/glass/end/" + k.Break
}

// Offer is where the acting person may break the glass for a patient; empty for
// somebody who may not.
func (g *Glass) Offer(ctx context.Context, p id.Patient) string {
	if g.mine(ctx) != nil {
		return ""
	}
	return "/glass/break/" + string(p)
}

// mine tells why the acting person may not break the glass; nil for one who may.
func (g *Glass) mine(ctx context.Context) error {
	m, err := g.making(ctx)
	if err != nil {
		return err
	}
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return err
	}
	me := id.From(ctx).Person
	if who, _ := roster.Person(string(me)); !mayBreak(who) {
		return ErrNotYou
	}
	_, err = g.half(ctx, me, m.making)
	return err
}

// end closes a broken glass early, with the fact of it: by who broke it, or by an
// owner. What the session keeps is forgotten with it where it is one's own.
func (g *Glass) end(ctx context.Context, b breaking) error {
	a, now := id.From(ctx), g.Now()
	if !now.Before(b.until()) {
		return nil
	}
	err := g.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE glass_breaks SET ended = $1 WHERE break = $2 AND ended = 0`, now.UnixMilli(), b.id); err != nil {
			return fmt.Errorf("end breaking %s: %w", b.id, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: a, Kind: "glass.ended", Subject: string(b.patient), Ref: b.id})
	})
	if err != nil || a.Session != b.session {
		return err
	}
	if err := g.Identity.Unkeep(ctx, string(b.patient)); !errors.Is(err, identity.ErrGone) {
		return err
	}
	return nil
}

func endOf(ctx context.Context, tx *store.Tx, p id.Person, patient id.Patient, now time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE glass_breaks SET ended = $1 WHERE person = $2 AND patient = $3 AND ended = 0 AND ends > $1`, now.UnixMilli(), p, patient)
	if err != nil {
		return fmt.Errorf("end what was broken open: %w", err)
	}
	return nil
}
