package seal

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// The roster is the list of who belongs to the practice and which keys are
// real. HPKE names no sender, so whoever can write the database could slip in
// own keys: therefore people, their public keys and doors, roles, teams, a
// commitment to every team key, and the inbox, recovery and break-glass public
// keys stand in numbered entries, each signed by an owner (one's own keys and
// doors: by oneself) and chained to the first. No wrap is opened and nothing is
// sealed to a key outside the chain.

// Act says what an entry does.
type Act string

// The acts.
const (
	Found  Act = "found" // the first entry: the practice and its first owner, signed by that owner
	Join   Act = "join"  // a person joins; signed by an owner
	Rekey  Act = "rekey" // a person's new public keys; signed with the old ones by oneself, or by an owner; an owner's also with the recovery kit
	Doors  Act = "doors" // a person's doors, all of them; signed by oneself, or by an owner
	Assign Act = "roles" // a person's roles; signed by an owner
	Leave  Act = "leave" // a person leaves; signed by an owner
	Form   Act = "team"  // a team, its members and the commitment to its key; signed by an owner
	Name   Act = "key"   // a public key of the practice: "recovery", "break-glass", "inbox.front-desk"; signed by an owner

	Foresee  Act = "plan"     // a leaving at an hour, with its teams' next keys; changes nothing yet; signed by an owner
	Withdraw Act = "withdraw" // takes a plan back; signed by an owner
	Due      Act = "due"      // carries a plan out; signed by nobody, and says nothing but the plan's number
)

// Keys are a person's public halves.
type Keys struct {
	Pair Public     `json:"pair"`
	Sign SignPublic `json:"sign"`
}

// Door is one way to open a person's seed.
type Door struct {
	Kind string `json:"kind"` // "passkey" or "code"
	Pair Public `json:"pair"`
}

// Entry is one numbered statement. Which fields it has depends on its act.
type Entry struct {
	Number     uint64          `json:"number"`
	Previous   []byte          `json:"previous,omitempty"` // SHA-256 of the entry before
	At         int64           `json:"at"`                 // unix milliseconds, as the signer's clock said
	By         string          `json:"by"`                 // the person who signs
	Act        Act             `json:"act"`
	Practice   string          `json:"practice,omitempty"` // found
	Person     string          `json:"person,omitempty"`   // found, join, rekey, doors, roles, leave, plan; team: whose own it is
	Keys       *Keys           `json:"keys,omitempty"`     // found, join, rekey
	Doors      map[string]Door `json:"doors,omitempty"`    // found, join, rekey (optional), doors
	Roles      []string        `json:"roles,omitempty"`    // found, join, roles
	Team       string          `json:"team,omitempty"`     // team
	Kind       string          `json:"kind,omitempty"`     // team: "care", "directory", "billing"
	Members    []string        `json:"members,omitempty"`  // team; key "recovery": the trusted people who have a share each
	Epoch      uint64          `json:"epoch,omitempty"`    // team: number of its key, from 1
	Commitment []byte          `json:"commitment,omitempty"`
	Name       string          `json:"name,omitempty"`   // key; found, join: what colleagues call the person; team: what they call it
	Public     Public          `json:"public,omitempty"` // key; team: what others seal to for this team, see TeamInbox
	After      int64           `json:"after,omitempty"`  // plan: not before this hour, unix milliseconds
	Teams      []PlannedTeam   `json:"teams,omitempty"`  // plan: what the teams of who leaves become, in order of id
	Plan       uint64          `json:"plan,omitempty"`   // withdraw, due: number of the plan's entry
	Sign       SignPublic      `json:"sign,omitempty"`   // key "recovery": what the kit signs with
}

// PlannedTeam is what a team becomes when a plan is carried out: the next key,
// and those who stay.
type PlannedTeam struct {
	Team       string   `json:"team"`
	Members    []string `json:"members,omitempty"`
	Epoch      uint64   `json:"epoch"`
	Commitment []byte   `json:"commitment"`
	Public     Public   `json:"public"`
}

// Signed is an entry as it is kept: exact bytes and their signature.
type Signed struct{ Body, Signature []byte }

const entryLabel = "roster entry v1"

// Owner is the role that signs for others.
const Owner = "owner"

// maxEntry bounds an entry from a database that may not be ours any more.
const maxEntry = 1 << 20

// Recovery names the practice's recovery pair, and signs for it: with the kit an
// owner who lost every way in gets new keys, and nothing else is signed.
const Recovery = "recovery"

// RecoveryKit is what the chain says of the kit that is in use.
type RecoveryKit struct {
	Sign    SignPublic // nil: it signs nothing
	Trusted []string   // who holds a share of it, two of which open it; empty: one paper
	Number  uint64     // of the entry that named it; 0: there is none
}

// RosterPerson is what the chain says of a person.
type RosterPerson struct {
	Name  string
	Keys  Keys
	Doors map[string]Door
	Roles []string
	Gone  bool
	Keyed uint64 // number of the entry that gave the keys
}

// RosterTeam is what the chain says of a team.
type RosterTeam struct {
	Name        string
	Kind        string
	Own         string // whose team of one it began as: new patients of that person go there; may be empty
	Members     []string
	Epoch       uint64
	Commitments map[uint64][]byte // of every key it ever had
	Inbox       Public            // what those who are no members seal to
}

// Roster is the chain as read and checked from its first entry on. A caller
// never changes what it hands out.
type Roster struct {
	Practice string
	Root     []byte   // SHA-256 of the first entry: the practice's fingerprint
	Number   uint64   // of the last entry
	heads    [][]byte // SHA-256 of every entry, in order
	people   map[string]RosterPerson
	teams    map[string]RosterTeam
	keys     map[string]Public
	kit      RecoveryKit
	plans    map[string]Plan // the newest of each person that was not withdrawn
	named    uint64          // number of the newest entry that named a public key of the practice
}

// RosterError says which entry is refused and why.
type RosterError struct {
	Number uint64
	Reason string
}

func (e *RosterError) Error() string {
	return fmt.Sprintf("roster entry %d is refused: %s", e.Number, e.Reason)
}

// ReadRoster checks a whole chain. Root is the fingerprint it must have; nil
// accepts any, and is right only for the chain that one has just begun.
func ReadRoster(chain []Signed, root []byte) (*Roster, error) {
	r := emptyRoster()
	for _, s := range chain {
		if err := r.Add(s); err != nil {
			return nil, err
		}
		if r.Number == 1 && root != nil && !bytes.Equal(r.Root, root) {
			return nil, &RosterError{1, "it is another practice's first entry"}
		}
	}
	if r.Number == 0 {
		return nil, &RosterError{1, "it is missing"}
	}
	return r, nil
}

func emptyRoster() *Roster {
	return &Roster{people: map[string]RosterPerson{}, teams: map[string]RosterTeam{}, keys: map[string]Public{}, plans: map[string]Plan{}}
}

// Clone returns a roster that can be signed upon and thrown away if the entry is
// not kept: a transaction may run twice, or fail after Sign.
func (r *Roster) Clone() *Roster {
	c := *r
	c.heads = slices.Clone(r.heads)
	c.people, c.teams, c.keys, c.plans = maps.Clone(r.people), maps.Clone(r.teams), maps.Clone(r.keys), maps.Clone(r.plans)
	return &c
}

// head is the SHA-256 of the last entry.
func (r *Roster) head() []byte {
	if len(r.heads) == 0 {
		return nil
	}
	return r.heads[len(r.heads)-1]
}

// Add checks one more entry and takes it in. On an error the roster is unchanged.
func (r *Roster) Add(s Signed) error {
	refuse := func(reason string, a ...any) error {
		return &RosterError{r.Number + 1, fmt.Sprintf(reason, a...)}
	}
	e, err := parseEntry(s.Body)
	if err != nil {
		return refuse("%v", err)
	}
	if e.Number != r.Number+1 {
		return refuse("it bears number %d", e.Number)
	}
	if !bytes.Equal(e.Previous, r.head()) {
		return refuse("it does not follow the entry before it")
	}
	if reason := r.checkSignature(e, s); reason != "" {
		return refuse("%s", reason)
	}
	if err := e.says(); err != nil {
		return refuse("%v", err)
	}
	if reason := r.apply(e); reason != "" {
		return refuse("%s", reason)
	}
	sum := sha256.Sum256(s.Body)
	r.Number, r.heads = e.Number, append(r.heads, sum[:])
	if e.Act == Found {
		r.Root, r.Practice = sum[:], e.Practice
	}
	return nil
}

// Sign makes the next entry in a person's name and takes it in. If the entry is
// then not kept, the roster is ahead of what is kept: sign on a Clone.
func (r *Roster) Sign(by string, signer *Signer, e Entry) (Signed, error) {
	e.Number, e.Previous, e.By = r.Number+1, r.head(), by
	e.Members = slices.Compact(slices.Sorted(slices.Values(e.Members)))
	e.Teams = inOrder(e.Teams)
	body, err := json.Marshal(e)
	if err != nil {
		return Signed{}, fmt.Errorf("sign roster entry: %w", err)
	}
	sig, err := signer.Sign(entryLabel, body)
	if err != nil {
		return Signed{}, err
	}
	s := Signed{body, sig}
	if err := r.Add(s); err != nil {
		return Signed{}, err
	}
	return s, nil
}

// Prepare writes the next entry as it will be signed by somebody who is not here:
// the recovery kit, in a browser. Add takes it in with the signature.
func (r *Roster) Prepare(by string, e Entry) ([]byte, error) {
	e.Number, e.Previous, e.By = r.Number+1, r.head(), by
	return json.Marshal(e)
}

// KitLabel is the label under which the kit signs an entry.
const KitLabel = entryLabel

// Begin makes the first entry of a practice.
func Begin(person string, u User, e Entry) (*Roster, Signed, error) {
	r, keys := emptyRoster(), u.Keys()
	e.Act, e.Person, e.Keys = Found, person, &keys
	if !slices.Contains(e.Roles, Owner) {
		e.Roles = append([]string{Owner}, e.Roles...)
	}
	s, err := r.Sign(person, u.Signer, e)
	return r, s, err
}

// parseEntry reads exactly what Sign writes: unknown fields, other order or
// other spacing are refused, so that one entry has one form.
func parseEntry(body []byte) (e Entry, err error) {
	if len(body) > maxEntry {
		return e, errors.New("it is too long")
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("it cannot be read")
	}
	again, err := json.Marshal(e)
	if err != nil || !bytes.Equal(again, body) {
		return e, errors.New("it is not in its one written form")
	}
	return e, nil
}

// says refuses an entry with a field that its act has no use for: what an owner
// signs is what is done, and nothing waits in an entry for a later reader.
func (e Entry) says() error {
	e.Number, e.Previous, e.At, e.By = 0, nil, 0, ""
	switch e.Act {
	case Found:
		e.Practice, e.Person, e.Name, e.Keys, e.Doors, e.Roles = "", "", "", nil, nil, nil
	case Join:
		e.Person, e.Name, e.Keys, e.Doors, e.Roles = "", "", nil, nil, nil
	case Rekey:
		e.Person, e.Keys, e.Doors = "", nil, nil
	case Doors:
		e.Person, e.Doors = "", nil
	case Assign:
		e.Person, e.Roles = "", nil
	case Leave:
		e.Person = ""
	case Form:
		e.Team, e.Name, e.Kind, e.Person, e.Members, e.Epoch, e.Commitment, e.Public = "", "", "", "", nil, 0, nil, nil
	case Name:
		if e.Name == Recovery {
			e.Sign, e.Members = nil, nil
		}
		e.Name, e.Public = "", nil
	case Foresee:
		e.Person, e.After, e.Teams = "", 0, nil
	case Withdraw, Due:
		e.Plan = 0
	default:
		return nil // apply names it as unknown
	}
	if e.Act = ""; !reflect.DeepEqual(e, Entry{}) {
		return errors.New("it says more than its act does")
	}
	return nil
}

// checkSignature tells what is wrong with who signed an entry. A plan is signed
// when it is made; that it is due is signed by nobody, and has one form only.
func (r *Roster) checkSignature(e Entry, s Signed) (reason string) {
	if e.Act == Due {
		if len(s.Signature) > 0 || e.By != "" || e.At != 0 {
			return "a plan is carried out in nobody's name"
		}
		return ""
	}
	signer, reason := r.signer(e)
	if reason == "" && !signer.Verify(entryLabel, s.Body, s.Signature) {
		return "its signature is not that of the person it names"
	}
	return reason
}

// signer returns the key an entry has to be signed with.
func (r *Roster) signer(e Entry) (SignPublic, string) {
	if r.Number == 0 {
		if e.Act != Found || e.By != e.Person || e.Keys == nil {
			return nil, "the first entry has to found the practice"
		}
		return e.Keys.Sign, ""
	}
	if e.By == Recovery {
		return r.kitSigns(e)
	}
	by, ok := r.people[e.By]
	if !ok || by.Gone {
		return nil, "nobody of that name belongs to the practice"
	}
	own := (e.Act == Rekey || e.Act == Doors) && e.Person == e.By
	if !own && !slices.Contains(by.Roles, Owner) {
		return nil, "only an owner may sign it"
	}
	return by.Keys.Sign, ""
}

// kitSigns returns the kit's key for the one thing it signs: new keys of an owner.
func (r *Roster) kitSigns(e Entry) (SignPublic, string) {
	p, ok := r.people[e.Person]
	switch {
	case r.kit.Sign == nil:
		return nil, "no recovery kit signs here"
	case e.Act != Rekey || e.Doors == nil || !ok || p.Gone || !slices.Contains(p.Roles, Owner):
		return nil, "the recovery kit signs new keys of an owner, with doors, and nothing else"
	}
	return r.kit.Sign, ""
}

func (r *Roster) apply(e Entry) (reason string) {
	p, known := r.people[e.Person]
	switch e.Act {
	case Found, Join:
		return r.join(e, known)
	case Rekey, Doors, Assign, Leave, Foresee:
		if !known || p.Gone {
			return "it is about nobody who belongs to the practice"
		}
	}
	switch e.Act {
	case Foresee:
		return r.foresee(e)
	case Withdraw:
		return r.withdraw(e.Plan)
	case Due:
		return r.carryOut(e.Plan)
	case Rekey:
		if reason := e.Keys.check(); reason != "" {
			return reason
		}
		p.Keys, p.Keyed = *e.Keys, e.Number
		if e.Doors != nil {
			p.Doors = e.Doors
		}
	case Doors:
		p.Doors = e.Doors
	case Assign:
		p.Roles = e.Roles
	case Leave:
		p.Gone = true
	case Form:
		return r.form(e)
	case Name:
		if e.Name == "" || e.Public.Check() != nil {
			return "it names no valid public key"
		}
		if e.Name == Recovery {
			if e.Sign != nil && e.Sign.Check() != nil || len(e.Members) != 0 && len(e.Members) != 3 {
				return "it names no valid recovery kit"
			}
			r.kit = RecoveryKit{Sign: e.Sign, Trusted: e.Members, Number: e.Number}
		}
		r.keys[e.Name], r.named = e.Public, e.Number
		return ""
	default:
		return "its act is unknown; a newer program may have written it"
	}
	if reason := checkDoors(e.Doors); reason != "" {
		return reason
	}
	if owner := slices.Contains(r.people[e.Person].Roles, Owner); owner && r.owners(e.Person) == 0 && (p.Gone || !slices.Contains(p.Roles, Owner)) {
		return "it would leave the practice without an owner"
	}
	r.people[e.Person] = p
	if p.Gone {
		delete(r.plans, e.Person)
	}
	return ""
}

func (r *Roster) join(e Entry, known bool) (reason string) {
	if (e.Act == Found) != (r.Number == 0) {
		return "a practice is founded once"
	}
	if e.Act == Found && (e.Practice == "" || !slices.Contains(e.Roles, Owner)) {
		return "it founds a practice without a name or an owner"
	}
	if known || e.Person == "" || e.Person == Recovery {
		return "it lets somebody join who is here already"
	}
	if reason := e.Keys.check(); reason != "" {
		return reason
	}
	if reason := checkDoors(e.Doors); reason != "" {
		return reason
	}
	r.people[e.Person] = RosterPerson{Name: e.Name, Keys: *e.Keys, Doors: e.Doors, Roles: e.Roles, Keyed: e.Number}
	return ""
}

func (r *Roster) form(e Entry) (reason string) {
	t, known := r.teams[e.Team]
	newKey := e.Epoch == t.Epoch+1
	switch {
	case e.Team == "" || e.Kind == "" || known && e.Kind != t.Kind:
		return "it names no team"
	case len(e.Commitment) != 32:
		return "it holds no commitment to the team's key"
	case e.Public.Check() != nil:
		return "it holds no valid public key of the team"
	case !newKey && (e.Epoch != t.Epoch || e.Epoch == 0 || !bytes.Equal(e.Commitment, t.Commitments[e.Epoch]) || !e.Public.Equal(t.Inbox)):
		return "it replaces a team's key without a new number"
	case newKey && t.had(e.Commitment):
		return "it gives a team a key that it had before"
	case known && e.Person != t.Own:
		return "it makes a team somebody else's"
	case !known && e.Person != "" && !slices.Contains(e.Members, e.Person):
		return "it makes a team somebody's own who is no member"
	}
	for _, m := range e.Members {
		if p, ok := r.people[m]; !ok || p.Gone {
			return "it lists a member who does not belong to the practice"
		}
	}
	for _, m := range t.Members {
		if !newKey && !slices.Contains(e.Members, m) {
			return "it takes a member out and keeps the key that member knows"
		}
	}
	commitments := maps.Clone(t.Commitments)
	if commitments == nil {
		commitments = map[uint64][]byte{}
	}
	commitments[e.Epoch] = e.Commitment
	r.teams[e.Team] = RosterTeam{Name: cmp.Or(e.Name, t.Name), Kind: e.Kind, Own: e.Person, Members: e.Members, Epoch: e.Epoch, Commitments: commitments, Inbox: e.Public}
	return ""
}

// had tells whether a commitment is that of one of the team's keys so far.
func (t RosterTeam) had(commitment []byte) bool {
	for _, c := range t.Commitments {
		if bytes.Equal(c, commitment) {
			return true
		}
	}
	return false
}

func (k *Keys) check() string {
	if k == nil || k.Pair.Check() != nil || k.Sign.Check() != nil {
		return "it holds no valid public keys"
	}
	return ""
}

func checkDoors(doors map[string]Door) string {
	for _, d := range doors {
		if d.Pair.Check() != nil {
			return "it holds a door without a valid public key"
		}
	}
	return ""
}

// owners counts the owners who belong to the practice, but for one person.
func (r *Roster) owners(except string) (n int) {
	for id, p := range r.people {
		if id != except && !p.Gone && slices.Contains(p.Roles, Owner) {
			n++
		}
	}
	return n
}

// Person returns what the chain says of a person.
func (r *Roster) Person(id string) (RosterPerson, bool) { p, ok := r.people[id]; return p, ok }

// People returns everybody who ever belonged to the practice, in order of id.
func (r *Roster) People() []string { return slices.Sorted(maps.Keys(r.people)) }

// Team returns what the chain says of a team.
func (r *Roster) Team(id string) (RosterTeam, bool) { t, ok := r.teams[id]; return t, ok }

// Teams returns all teams, in order of id.
func (r *Roster) Teams() []string { return slices.Sorted(maps.Keys(r.teams)) }

// Stale tells that somebody who left could still hold the team's key: until an
// owner's next tap gives it a new one, new records go under a key a leaver held.
func (r *Roster) Stale(team string) bool {
	return slices.ContainsFunc(r.teams[team].Members, func(m string) bool { return r.people[m].Gone })
}

// PublicKey returns one of the practice's public keys by name.
func (r *Roster) PublicKey(name string) (Public, bool) { k, ok := r.keys[name]; return k, ok }

// Kit returns what the chain says of the recovery kit.
func (r *Roster) Kit() RecoveryKit { return r.kit }

// CheckTeamKey accepts a team key only if the chain commits to it.
func (r *Roster) CheckTeamKey(team string, epoch uint64, k Key) error {
	want := r.teams[team].Commitments[epoch]
	if want == nil || !bytes.Equal(want, k.Commitment()) {
		return fmt.Errorf("team key %s.%d: not the one that the practice signed: %w", team, epoch, ErrSealed)
	}
	return nil
}

// Pin is what a person's seed remembers of the chain: a database whose chain was
// put back to an older one, or replaced by another, is noticed at the next
// sign-in. The pin lies in the same database, so putting back all of it, pins
// included, is noticed only by who remembers elsewhere: the agents, as witnesses.
type Pin struct {
	Root   []byte `json:"root"`
	Number uint64 `json:"number"`
	Head   []byte `json:"head"`
}

// Pin returns the pin of the chain as it stands.
func (r *Roster) Pin() Pin { return Pin{r.Root, r.Number, r.head()} }

// CheckPin refuses a chain that does not continue the pinned one.
func (r *Roster) CheckPin(p Pin, _ []Signed) error {
	if !bytes.Equal(p.Root, r.Root) {
		return &RosterError{1, "it is not the first entry that this person knows"}
	}
	if p.Number > r.Number || p.Number == 0 {
		return &RosterError{r.Number, fmt.Sprintf("this person has seen entry %d already; the list was put back", p.Number)}
	}
	if !bytes.Equal(r.heads[p.Number-1], p.Head) {
		return &RosterError{p.Number, "it is another one than this person has seen"}
	}
	return nil
}
