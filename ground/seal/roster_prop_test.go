package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// users are some people with keys, made once: deriving them costs time.
var users = sync.OnceValue(func() (all []User) {
	for _, name := range strings.Split("abcdefgh", "") {
		all = append(all, must(Seed{must(KeyFrom(secret32(name)))}.User()))
	}
	return all
})

func begun(practice string) (*Roster, []Signed) {
	r, first, err := Begin("ana", users()[0], Entry{Practice: practice, At: 1})
	if err != nil {
		panic(err)
	}
	return r, []Signed{first}
}

// written is all that a roster says, so that two can be compared down to the
// last byte.
func written(r *Roster) string {
	return string(must(json.Marshal([]any{r.Practice, r.Root, r.Number, r.heads, r.people, r.teams, r.keys, r.plans, r.named})))
}

// member is what the model knows of a person; rules are written a second time
// here, in another way, and have to say the same as the roster.
type member struct {
	user        int
	owner, gone bool
	keyed       int // entry that gave the keys
}

type team struct {
	members []string
	epoch   uint64
	key     Key
}

// foreseen is a leaving that an owner planned.
type foreseen struct {
	number     int
	by, who    string
	teams      map[string]team // as they shall be
	carriedOut bool
}

type practice struct {
	r       *Roster
	chain   []Signed
	people  map[string]member
	teams   map[string]team
	plans   []*foreseen
	named   int // entry that named a key last
	refused int
	taken   int
	due     int // teams that got a planned key
	leftOut int // teams that did not
}

func newPractice() *practice {
	r, chain := begun("P")
	return &practice{r: r, chain: chain, people: map[string]member{"ana": {owner: true}}, teams: map[string]team{}}
}

func (p *practice) here(who string) bool  { m, ok := p.people[who]; return ok && !m.gone }
func (p *practice) owner(who string) bool { return p.here(who) && p.people[who].owner }
func (p *practice) lastOwner(who string) bool {
	for id := range p.people {
		if id != who && p.owner(id) {
			return false
		}
	}
	return p.owner(who)
}

var (
	names = rapid.SampledFrom([]string{"ana", "jo", "kim", "lee"})
	acts  = rapid.SampledFrom([]Act{Found, Join, Join, Rekey, Doors, Assign, Leave, Form, Form, Form, Name, Foresee, Foresee, Withdraw, "other"})
)

// try draws an act, a person in whose name it is signed and the keys that sign
// it, and compares what the roster does with what the rules say.
func (p *practice) try(t *rapid.T) {
	by, who := names.Draw(t, "by"), names.Draw(t, "about")
	if !p.owner(by) && rapid.IntRange(0, 3).Draw(t, "an owner instead") > 0 {
		for _, id := range slices.Sorted(maps.Keys(p.people)) {
			if p.owner(id) {
				by = id
			}
		}
	}
	signedBy := p.people[by].user
	if rapid.IntRange(0, 9).Draw(t, "forged") == 0 {
		signedBy = rapid.IntRange(0, len(users())-1).Draw(t, "signer")
	}
	e := Entry{Act: acts.Draw(t, "act"), At: 2}
	right := p.here(by) && signedBy == p.people[by].user && (p.owner(by) || by == who && (e.Act == Rekey || e.Act == Doors))
	then := func() {}
	m, keyOf := p.people[who], func() (int, *Keys) {
		i := rapid.IntRange(0, len(users())-1).Draw(t, "keys")
		k := users()[i].Keys()
		return i, &k
	}
	switch e.Act {
	case Found:
		_, e.Keys = keyOf()
		e.Person, e.Practice, e.Roles, right = who, "Q", []string{Owner}, false
	case Join:
		i, keys := keyOf()
		m = member{user: i, owner: rapid.Bool().Draw(t, "owner"), keyed: len(p.chain) + 1}
		_, known := p.people[who]
		right = right && !known
		e.Person, e.Keys, e.Roles = who, keys, rolesOf(m)
		then = func() { p.people[who] = m }
	case Rekey:
		m.user, e.Keys = keyOf()
		m.keyed = len(p.chain) + 1
		e.Person, right = who, right && p.here(who)
		then = func() { p.people[who] = m }
	case Doors:
		e.Person, right = who, right && p.here(who)
		if rapid.Bool().Draw(t, "good door") {
			e.Doors = map[string]Door{"D": {"code", users()[1].Pair.Public()}}
		} else {
			e.Doors, right = map[string]Door{"D": {"code", make([]byte, 1249)}}, false
		}
	case Assign:
		m.owner = rapid.Bool().Draw(t, "owner")
		e.Person, e.Roles = who, rolesOf(m)
		right = right && p.here(who) && (m.owner || !p.lastOwner(who))
		then = func() { p.people[who] = m }
	case Leave:
		m.gone = true
		e.Person, right = who, right && p.here(who) && !p.lastOwner(who)
		then = func() { p.people[who] = m; p.forget(who) }
	case Foresee:
		right = p.foresee(t, &e, by, who, &then) && right
	case Withdraw:
		plan := p.planned(t)
		e.Plan, right = uint64(plan.number), right && plan.who != "" && !plan.carriedOut
		then = func() { p.forget(plan.who) }
	case Form:
		right = p.form(t, &e, &then) && right
	case Name:
		e.Name, e.Public = rapid.SampledFrom([]string{"recovery", ""}).Draw(t, "name"), users()[2].Pair.Public()
		right = right && e.Name != ""
		then = func() { p.named = len(p.chain) + 1 }
	default:
		right = false
	}
	if e.Act != "other" && rapid.IntRange(0, 9).Draw(t, "more") == 0 && e.Practice == "" {
		e.Practice, right = "smuggled", false // a field that the act has not
	}
	before := written(p.r)
	s, err := p.r.Sign(by, users()[signedBy].Signer, e)
	if (err == nil) != right {
		t.Fatalf("%s by %s (keys %d) about %s: allowed %v, but %v\n%+v", e.Act, by, signedBy, who, right, err, p.people)
	}
	if err != nil {
		p.refused++
		if s.Body != nil || written(p.r) != before {
			t.Fatalf("a refused entry changed the roster: %v", err)
		}
		return
	}
	p.taken++
	then()
	p.chain = append(p.chain, s)
}

// settle lets three people join, and forms two teams.
func (p *practice) settle() {
	sign := func(e Entry) { p.chain = append(p.chain, must(p.r.Sign("ana", users()[0].Signer, e))) }
	for i, who := range []string{"jo", "kim", "lee"} {
		keys := users()[i+1].Keys()
		p.people[who] = member{user: i + 1, owner: who == "jo", keyed: len(p.chain) + 1}
		sign(Entry{At: 2, Act: Join, Person: who, Keys: &keys, Roles: rolesOf(p.people[who])})
	}
	for _, name := range []string{"t", "u"} {
		p.teams[name] = team{members: []string{"ana", "jo", "kim", "lee"}, epoch: 1, key: NewKey()}
		sign(Entry{At: 2, Act: Form, Team: name, Kind: "care", Members: p.teams[name].members, Epoch: 1, Commitment: p.teams[name].key.Commitment(), Public: users()[3].Pair.Public()})
	}
}

// foresee draws a plan for a person, with some of that person's teams, mostly as
// they would be.
func (p *practice) foresee(t *rapid.T, e *Entry, by, who string, then *func()) (right bool) {
	plan := &foreseen{number: len(p.chain) + 1, by: by, who: who, teams: map[string]team{}}
	*e = Entry{At: 2, Act: Foresee, Person: who, After: rapid.Int64Range(0, 9).Draw(t, "hour")}
	right = e.After > 0 && p.here(who) && !p.lastOwner(who)
	for _, name := range slices.Sorted(maps.Keys(p.teams)) {
		was := p.teams[name]
		if !slices.Contains(was.members, who) && rapid.IntRange(0, 9).Draw(t, "a team of others") > 0 {
			continue
		}
		now := team{epoch: was.epoch + 1, key: NewKey()}
		right = right && slices.Contains(was.members, who)
		for _, m := range was.members {
			if m != who {
				now.members = append(now.members, m)
				right = right && p.here(m)
			}
		}
		switch rapid.IntRange(0, 19).Draw(t, "slip") {
		case 0:
			now.epoch++
			right = false
		case 1:
			now.key, right = was.key, false
		case 2:
			now.members, right = append(now.members, who), false
		}
		plan.teams[name] = now
		e.Teams = append(e.Teams, PlannedTeam{Team: name, Members: now.members, Epoch: now.epoch, Commitment: now.key.Commitment(), Public: users()[3].Pair.Public()})
	}
	slices.Reverse(e.Teams) // Sign brings them into order
	*then = func() { p.forget(who); p.plans = append(p.plans, plan) }
	return right
}

// forget takes back the plans for a person that wait.
func (p *practice) forget(who string) {
	p.plans = slices.DeleteFunc(p.plans, func(f *foreseen) bool { return f.who == who })
}

// planned draws a plan, or one that is none.
func (p *practice) planned(t *rapid.T) foreseen {
	n := rapid.IntRange(0, 5).Draw(t, "plan")
	if n >= len(p.plans) {
		return foreseen{number: rapid.IntRange(0, 3).Draw(t, "no plan") * 1000}
	}
	return *p.plans[n]
}

// carryOut carries out a plan, as anybody can who writes the database.
func (p *practice) carryOut(t *rapid.T) {
	plan := p.planned(t)
	right := plan.who != "" && !plan.carriedOut && p.owner(plan.by) && !p.lastOwner(plan.who)
	before := written(p.r)
	s, err := p.r.CarryOut(uint64(plan.number))
	if (err == nil) != right {
		t.Fatalf("plan %d is carried out: allowed %v, but %v", plan.number, right, err)
	}
	if err != nil {
		p.refused++
		if written(p.r) != before {
			t.Fatalf("a refused plan changed the roster: %v", err)
		}
		return
	}
	p.taken++
	for _, f := range p.plans {
		if f.number == plan.number {
			f.carriedOut = true
		}
	}
	for name, next := range plan.teams {
		now := p.teams[name]
		same := now.epoch+1 == next.epoch && p.named < plan.number && slices.Contains(now.members, plan.who)
		for _, m := range now.members {
			same = same && p.here(m) && (m == plan.who || slices.Contains(next.members, m) && p.people[m].keyed < plan.number)
		}
		if same = same && len(next.members)+1 == len(now.members); same {
			p.teams[name] = next
			p.due++
		} else {
			p.leftOut++
		}
	}
	m := p.people[plan.who]
	m.gone = true
	p.people[plan.who] = m
	p.chain = append(p.chain, s)
}

func rolesOf(m member) []string {
	if m.owner {
		return []string{"clinician", Owner}
	}
	return nil
}

func (p *practice) form(t *rapid.T, e *Entry, then *func()) (right bool) {
	name := rapid.SampledFrom([]string{"t", "u", ""}).Draw(t, "team")
	was, known := p.teams[name]
	now := team{epoch: was.epoch, key: was.key}
	for _, who := range []string{"kim", "ana", "lee", "jo"} {
		if rapid.IntRange(0, 3).Draw(t, who) == 0 || p.here(who) && rapid.Bool().Draw(t, who+" is here") {
			now.members = append(now.members, who)
		}
	}
	right = name != ""
	for _, who := range now.members {
		right = right && p.here(who)
	}
	switch rapid.SampledFrom([]string{"same", "new", "new", "old key, new number", "new key, old number", "leap"}).Draw(t, "key") {
	case "same":
		right = right && known
		for _, who := range was.members {
			right = right && slices.Contains(now.members, who)
		}
	case "new":
		now.epoch, now.key = was.epoch+1, NewKey()
	case "old key, new number":
		now.epoch++
		right = right && !known
	case "new key, old number":
		now.key, right = NewKey(), false
	case "leap":
		now.epoch, now.key, right = was.epoch+2, NewKey(), false
	}
	*e = Entry{At: 2, Act: Form, Team: name, Kind: "care", Members: now.members, Epoch: now.epoch, Commitment: now.key.Commitment(), Public: users()[3].Pair.Public()}
	*then = func() { p.teams[name] = now }
	return right
}

// agrees compares the whole roster with the model.
func (p *practice) agrees(t *rapid.T) {
	if p.r.Number != uint64(len(p.chain)) || len(p.r.people) != len(p.people) || len(p.r.teams) != len(p.teams) {
		t.Fatalf("the roster counts otherwise: %s", written(p.r))
	}
	for id, m := range p.people {
		got, _ := p.r.Person(id)
		if got.Gone != m.gone || slices.Contains(got.Roles, Owner) != m.owner || !got.Keys.Pair.Equal(users()[m.user].Pair.Public()) {
			t.Fatalf("%s is %+v, want %+v", id, got, m)
		}
	}
	for name, want := range p.teams {
		got, _ := p.r.Team(name)
		if got.Epoch != want.epoch || !slices.Equal(got.Members, slices.Sorted(slices.Values(want.members))) {
			t.Fatalf("team %s is %+v, want %+v", name, got, want)
		}
		if p.r.CheckTeamKey(name, want.epoch, want.key) != nil || p.r.CheckTeamKey(name, want.epoch, NewKey()) == nil || p.r.CheckTeamKey(name, want.epoch+1, want.key) == nil {
			t.Fatalf("team %s: another key than the signed one is taken", name)
		}
		if p.r.Stale(name) != slices.ContainsFunc(want.members, func(m string) bool { return !p.here(m) }) {
			t.Fatalf("team %s: stale is %v", name, p.r.Stale(name))
		}
	}
}

func TestOnlyWhoMayChangesTheRoster(t *testing.T) {
	refused, taken, due, leftOut := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := newPractice()
		if rapid.IntRange(0, 3).Draw(t, "settled") > 0 {
			p.settle()
		}
		t.Repeat(map[string]func(*rapid.T){"": p.agrees, "act": p.try, "another act": p.try, "due": func(t *rapid.T) {
			if len(p.plans) == 0 {
				t.Skip("nothing is planned")
			}
			p.carryOut(t)
		}})
		if r, err := ReadRoster(p.chain, p.r.Root); err != nil || written(r) != written(p.r) {
			t.Fatalf("the chain reads otherwise than it was written: %v", err)
		}
		refused, taken, due, leftOut = refused+p.refused, taken+p.taken, due+p.due, leftOut+p.leftOut
	})
	least := 30
	if testing.Short() { // a fifth of the tries
		least /= 5
	} else if due == 0 || leftOut == 0 {
		t.Errorf("%d teams got a planned key and %d were left out: the machine tried too little", due, leftOut)
	}
	t.Logf("%d refused, %d taken; %d teams got a planned key, %d were left out", refused, taken, due, leftOut)
	if refused < least || taken < least {
		t.Errorf("%d acts were refused and %d taken: the machine tried too little", refused, taken)
	}
}

// longPractice is a chain of a dozen entries or so, by an owner, by oneself and by nobody.
func longPractice(practice string) (*Roster, []Signed) {
	r, chain := begun(practice)
	ana, jo := users()[0].Signer, users()[1].Signer
	sign := func(by string, s *Signer, e Entry) { chain = append(chain, must(r.Sign(by, s, e))) }
	keys, other, pub := users()[1].Keys(), users()[2].Keys(), users()[3].Pair.Public()
	sign("ana", ana, Entry{At: 2, Act: Join, Person: "jo", Keys: &keys})
	sign("jo", jo, Entry{At: 3, Act: Doors, Person: "jo", Doors: map[string]Door{"D": {"code", pub}}})
	sign("ana", ana, Entry{At: 4, Act: Form, Team: "t", Kind: "care", Members: []string{"ana", "jo"}, Epoch: 1, Commitment: NewKey().Commitment(), Public: pub})
	sign("ana", ana, Entry{At: 5, Act: Name, Name: "recovery", Public: pub})
	sign("jo", jo, Entry{At: 6, Act: Rekey, Person: "jo", Keys: &other})
	sign("ana", ana, Entry{At: 7, Act: Assign, Person: "jo", Roles: []string{"clinician"}})
	next := PlannedTeam{Team: "t", Members: []string{"ana"}, Epoch: 2, Commitment: NewKey().Commitment(), Public: pub}
	sign("ana", ana, Entry{At: 8, Act: Foresee, Person: "jo", After: 20, Teams: []PlannedTeam{next}})
	sign("ana", ana, Entry{At: 9, Act: Withdraw, Plan: r.Number})
	sign("ana", ana, Entry{At: 10, Act: Foresee, Person: "jo", After: 30, Teams: []PlannedTeam{next}})
	chain = append(chain, must(r.CarryOut(r.Number)))
	return r, chain
}

func TestAChainThatWasTouchedIsRefused(t *testing.T) {
	r, chain := longPractice("P")
	stranger := must(NewSeed().User()).Signer
	read := func(t *testing.T, chain []Signed, what string, i int) {
		t.Helper()
		var refusal *RosterError
		if _, err := ReadRoster(chain, r.Root); !errors.As(err, &refusal) {
			t.Errorf("entry %d %s: %v", i+1, what, err)
		}
	}
	add := func(t *testing.T, to *Roster, s Signed, what string) {
		t.Helper()
		if err := to.Clone().Add(s); err == nil {
			t.Errorf("entry %d %s is taken", to.Number+1, what)
		}
	}
	before := emptyRoster() // the roster up to entry i
	with := func(i int, s Signed) []Signed { c := slices.Clone(chain); c[i] = s; return c }
	for i, s := range chain {
		if i < len(chain)-1 { // for the last see the pins
			read(t, slices.Delete(slices.Clone(chain), i, i+1), "dropped", i)
		}
		read(t, slices.Insert(slices.Clone(chain), i, s), "doubled", i)
		for j := range i {
			c := slices.Clone(chain)
			c[i], c[j] = c[j], c[i]
			read(t, c, "swapped", i)
			read(t, with(i, Signed{s.Body, chain[j].Signature}), "with another's signature", i)
		}
		read(t, with(i, Signed{s.Body, must(stranger.Sign(entryLabel, s.Body))}), "signed by a stranger", i)
		read(t, with(i, Signed{s.Body, must(users()[4].Sign(entryLabel, s.Body))}), "signed by another person", i)
		if strings.Contains(string(s.Body), `"by":"ana"`) {
			read(t, with(i, Signed{s.Body, must(users()[0].Sign("another label", s.Body))}), "signed under another label", i)
		}
		for bit := range len(s.Body) * 8 {
			if bit%7 == i%7 { // one in seven, another one in each entry
				b := bytes.Clone(s.Body)
				b[bit/8] ^= 1 << (bit % 8)
				add(t, before, Signed{b, s.Signature}, "edited")
			}
		}
		for bit := range len(s.Signature) * 8 {
			b := bytes.Clone(s.Signature)
			b[bit/8] ^= 1 << (bit % 8)
			add(t, before, Signed{s.Body, b}, "with an edited signature")
		}
		if err := before.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	read(t, nil, "missing", 0)
	_, foreign := longPractice("Q")
	read(t, foreign, "of a practice that the same owner founded twice", 0)
}

// What an owner signs is what is done: the same statement has one written form.
func TestAnEntryHasOneWrittenForm(t *testing.T) {
	r, _ := longPractice("P")
	good := Entry{Number: r.Number + 1, Previous: r.head(), By: "ana", At: 9, Act: Assign, Person: "ana", Roles: []string{Owner}}
	body := string(must(json.Marshal(good)))
	for what, b := range map[string]string{
		"with a space":            strings.Replace(body, `,"by"`, `, "by"`, 1),
		"with a line after it":    body + "\n",
		"with a second value":     body + "{}",
		"with an unknown field":   strings.Replace(body, `,"by"`, `,"new":1,"by"`, 1),
		"with a field twice":      strings.Replace(body, `,"by"`, `,"by":"jo","by"`, 1),
		"with other letters":      strings.Replace(body, `"by"`, `"BY"`, 1),
		"with an escaped letter":  strings.Replace(body, `"ana"`, `"\u0061na"`, 1),
		"with an empty list":      strings.Replace(body, `,"roles"`, `,"members":[],"roles"`, 1),
		"with a null":             strings.Replace(body, `,"roles"`, `,"keys":null,"roles"`, 1),
		"longer than an entry is": strings.Replace(body, `"person":"`, `"person":"`+strings.Repeat("x", maxEntry), 1),
	} {
		sig := must(users()[0].Sign(entryLabel, []byte(b)))
		if err := r.Add(Signed{[]byte(b), sig}); b == body || err == nil {
			t.Errorf("an entry %s is taken", what)
		}
	}
	if err := r.Add(Signed{[]byte(body), must(users()[0].Sign(entryLabel, []byte(body)))}); err != nil {
		t.Errorf("the entry as it is written is refused: %v", err)
	}
}

func TestAPracticeBeginsWithAnOwnerAndAName(t *testing.T) {
	u := users()[0]
	keys := u.Keys()
	for what, e := range map[string]Entry{
		"without a name":            {Person: "ana", By: "ana", Keys: &keys, Roles: []string{Owner}},
		"without an owner":          {Practice: "P", Person: "ana", By: "ana", Keys: &keys},
		"by somebody else":          {Practice: "P", Person: "ana", By: "jo", Keys: &keys, Roles: []string{Owner}},
		"without keys":              {Practice: "P", Person: "ana", By: "ana", Roles: []string{Owner}},
		"with a point off the line": {Practice: "P", Person: "ana", By: "ana", Keys: &Keys{keys.Pair, make([]byte, 65)}, Roles: []string{Owner}},
	} {
		e.Number, e.Act = 1, Found
		body := must(json.Marshal(e))
		if err := emptyRoster().Add(Signed{body, must(u.Sign(entryLabel, body))}); err == nil {
			t.Errorf("a practice was founded %s", what)
		}
	}
}

func TestPinsNoticeAListThatWasPutBackOrReplaced(t *testing.T) {
	r, chain := longPractice("P")
	for n := 1; n <= len(chain); n++ {
		part := must(ReadRoster(chain[:n], r.Root))
		pin := part.Pin()
		if err := r.CheckPin(pin, chain); err != nil {
			t.Errorf("a chain that goes on from entry %d is refused: %v", n, err)
		}
		if n > 1 {
			if err := must(ReadRoster(chain[:n-1], r.Root)).CheckPin(pin, chain[:n-1]); err == nil {
				t.Errorf("entry %d was taken away, and nobody noticed", n)
			}
			fork := must(ReadRoster(chain[:n-1], r.Root))
			end := []Signed{must(fork.Sign("ana", users()[0].Signer, Entry{At: 99, Act: Name, Name: "forked", Public: users()[3].Pair.Public()}))}
			for fork.Number < r.Number {
				end = append(end, must(fork.Sign("ana", users()[0].Signer, Entry{At: 99, Act: Name, Name: "forked", Public: users()[3].Pair.Public()})))
			}
			if err := fork.CheckPin(pin, append(slices.Clone(chain[:n-1]), end...)); err == nil {
				t.Errorf("a fork before entry %d went unnoticed", n)
			}
		}
	}
	other, chain2 := begun("Q")
	if err := r.CheckPin(other.Pin(), chain2); err == nil {
		t.Error("another practice's pin fits")
	}
	if err := r.CheckPin(Pin{Root: r.Root}, chain); err == nil {
		t.Error("a pin that has seen nothing fits")
	}
}

func TestAClonedRosterGoesItsOwnWay(t *testing.T) {
	r, chain := longPractice("P")
	for range 3 { // so that the list of heads has room at its end
		chain = append(chain, must(r.Sign("ana", users()[0].Signer, Entry{At: 9, Act: Assign, Person: "ana", Roles: []string{Owner}})))
	}
	before := written(r)
	a, b := r.Clone(), r.Clone()
	key := users()[3].Pair.Public()
	must(a.Sign("ana", users()[0].Signer, Entry{At: 9, Act: Form, Team: "t", Kind: "care", Members: []string{"ana"}, Epoch: 3, Commitment: NewKey().Commitment(), Public: key}))
	must(b.Sign("ana", users()[0].Signer, Entry{At: 9, Act: Form, Team: "t", Kind: "care", Members: []string{"ana"}, Epoch: 3, Commitment: NewKey().Commitment(), Public: key}))
	if written(r) != before || bytes.Equal(a.head(), b.head()) || must(ReadRoster(chain, nil)).Number != r.Number {
		t.Error("what was signed on a clone shows in the roster, or in another clone")
	}
	if bytes.Equal(a.Pin().Head, b.Pin().Head) || a.CheckPin(b.Pin(), nil) == nil {
		t.Error("two clones share their heads")
	}
	if bytes.Equal(must(json.Marshal(a.teams)), must(json.Marshal(b.teams))) {
		t.Error("two clones share a team's commitments")
	}
}

func TestSigningLeavesTheCallersListsAlone(t *testing.T) {
	r, _ := begun("P")
	members := []string{"jo", "ana", "jo"}
	keys := users()[1].Keys()
	must(r.Sign("ana", users()[0].Signer, Entry{At: 2, Act: Join, Person: "jo", Keys: &keys}))
	must(r.Sign("ana", users()[0].Signer, Entry{At: 3, Act: Form, Team: "t", Kind: "care", Members: members, Epoch: 1, Commitment: NewKey().Commitment(), Public: keys.Pair}))
	if !slices.Equal(members, []string{"jo", "ana", "jo"}) {
		t.Errorf("the caller's list became %v", members)
	}
	if team, _ := r.Team("t"); !slices.Equal(team.Members, []string{"ana", "jo"}) {
		t.Errorf("the team is %v", team.Members)
	}
}

// The rules of the roster, one by one: what an owner may is refused to others,
// and some things are refused to everybody.
func TestWhatTheRosterRefuses(t *testing.T) {
	const ana, jo, lee, left = 0, 1, 2, 3 // owner, clinician, owner who is one no more, owner who has left
	r, _ := begun("P")
	key, inbox := NewKey(), users()[6].Pair.Public()
	keys := func(i int) *Keys { k := users()[i].Keys(); return &k }
	team := Entry{Act: Form, Team: "t", Kind: "care", Members: []string{"ana", "jo"}, Epoch: 1, Commitment: key.Commitment(), Public: inbox}
	for _, e := range []Entry{
		{Act: Join, Person: "jo", Keys: keys(jo), Roles: []string{"clinician"}},
		{Act: Join, Person: "lee", Keys: keys(lee), Roles: []string{Owner}},
		{Act: Join, Person: "left", Keys: keys(left), Roles: []string{Owner}},
		team,
		{Act: Assign, Person: "lee", Roles: []string{"clinician"}},
		{Act: Leave, Person: "left"},
	} {
		must(r.Sign("ana", users()[0].Signer, e))
	}
	formed := func(change func(*Entry)) Entry { e := team; change(&e); return e }
	newKey := func(e *Entry) { e.Epoch, e.Commitment = 2, NewKey().Commitment() }
	offCurve := append([]byte{4}, make([]byte, 64)...)
	for _, c := range []struct {
		what string
		user int
		by   string
		e    Entry
		want string
	}{
		{"a clinician gives herself a role", jo, "jo", Entry{Act: Assign, Person: "jo", Roles: []string{Owner}}, "only an owner"},
		{"a clinician makes herself leave", jo, "jo", Entry{Act: Leave, Person: "jo"}, "only an owner"},
		{"a clinician changes another's keys", jo, "jo", Entry{Act: Rekey, Person: "ana", Keys: keys(jo)}, "only an owner"},
		{"a clinician changes another's doors", jo, "jo", Entry{Act: Doors, Person: "ana"}, "only an owner"},
		{"a clinician lets somebody join", jo, "jo", Entry{Act: Join, Person: "new", Keys: keys(5)}, "only an owner"},
		{"a clinician forms a team", jo, "jo", formed(newKey), "only an owner"},
		{"a clinician names a key", jo, "jo", Entry{Act: Name, Name: "recovery", Public: inbox}, "only an owner"},
		{"who is an owner no more", lee, "lee", formed(newKey), "only an owner"},
		{"an owner who has left", left, "left", formed(newKey), "nobody of that name"},
		{"an owner who has left gives himself keys", left, "left", Entry{Act: Rekey, Person: "left", Keys: keys(5)}, "nobody of that name"},
		{"somebody who never was here", 5, "new", formed(newKey), "nobody of that name"},
		{"a clinician in the owner's name", jo, "ana", formed(newKey), "signature"},
		{"keys for who has left", ana, "ana", Entry{Act: Rekey, Person: "left", Keys: keys(5)}, "nobody who belongs"},
		{"who has left joins again", ana, "ana", Entry{Act: Join, Person: "left", Keys: keys(left)}, "here already"},
		{"a signing key off the curve", ana, "ana", Entry{Act: Join, Person: "new", Keys: &Keys{inbox, offCurve}}, "valid public keys"},
		{"a pair that is none", ana, "ana", Entry{Act: Join, Person: "new", Keys: &Keys{make([]byte, 1249), keys(5).Sign}}, "valid public keys"},
		{"keys that are missing", ana, "ana", Entry{Act: Rekey, Person: "jo"}, "valid public keys"},
		{"a member who has left", ana, "ana", formed(func(e *Entry) { newKey(e); e.Members = []string{"left"} }), "member who does not belong"},
		{"a member out, the key the same", ana, "ana", formed(func(e *Entry) { e.Members = []string{"ana"} }), "takes a member out"},
		{"the old key under a new number", ana, "ana", formed(func(e *Entry) { e.Epoch = 2 }), "had before"},
		{"another key under the old number", ana, "ana", formed(func(e *Entry) { e.Commitment = NewKey().Commitment() }), "without a new number"},
		{"another inbox under the old number", ana, "ana", formed(func(e *Entry) { e.Public = users()[7].Pair.Public() }), "without a new number"},
		{"a number left out", ana, "ana", formed(func(e *Entry) { newKey(e); e.Epoch = 3 }), "without a new number"},
		{"an inbox that is no key", ana, "ana", formed(func(e *Entry) { newKey(e); e.Public = inbox[1:] }), "no valid public key of the team"},
		{"a team of another kind", ana, "ana", formed(func(e *Entry) { newKey(e); e.Kind = "billing" }), "names no team"},
		{"the last owner leaves", ana, "ana", Entry{Act: Leave, Person: "ana"}, "without an owner"},
		{"the last owner gives it up", ana, "ana", Entry{Act: Assign, Person: "ana"}, "without an owner"},
		{"a second founding", ana, "ana", Entry{Act: Found, Practice: "Q", Person: "ana", Keys: keys(ana), Roles: []string{Owner}}, "founded once"},
		{"an act of tomorrow", ana, "ana", Entry{Act: "tomorrow"}, "unknown"},
		{"a role in an entry about doors", ana, "ana", Entry{Act: Doors, Person: "jo", Roles: []string{Owner}}, "more than its act"},
		{"a name in an entry about roles", ana, "ana", Entry{Act: Assign, Person: "jo", Name: "Jo"}, "more than its act"},
	} {
		before := written(r)
		if _, err := r.Sign(c.by, users()[c.user].Signer, c.e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it refused: %s", c.what, err, c.want)
		}
		if written(r) != before {
			t.Errorf("%s: refused, and the roster changed", c.what)
		}
	}
}

// Entries that an owner did sign, on another branch or with another number.
func TestSignedEntriesFitInTheirOwnPlaceOnly(t *testing.T) {
	r, _ := longPractice("P")
	a, b := r.Clone(), r.Clone()
	owner := users()[0].Signer
	name := func(r *Roster, n string) Signed {
		return must(r.Sign("ana", owner, Entry{At: 9, Act: Name, Name: n, Public: users()[3].Pair.Public()}))
	}
	name(a, "a")
	name(b, "b")
	if err := a.Add(name(b, "c")); err == nil {
		t.Error("an entry of one branch goes on another")
	}
	for _, n := range []uint64{0, a.Number, a.Number + 2} {
		body := must(json.Marshal(Entry{Number: n, Previous: a.head(), By: "ana", At: 9, Act: Name, Name: "n", Public: users()[3].Pair.Public()}))
		if err := a.Add(Signed{body, must(owner.Sign(entryLabel, body))}); err == nil {
			t.Errorf("entry %d follows entry %d", n, a.Number)
		}
	}
}

func TestTheKitSignsNewKeysOfAnOwnerAndNothingElse(t *testing.T) {
	r, _ := begun("P")
	keys := func(i int) *Keys { k := users()[i].Keys(); return &k }
	doors := map[string]Door{"d": {Kind: "passkey", Pair: users()[4].Pair.Public()}}
	must(r.Sign("ana", users()[0].Signer, Entry{At: 2, Act: Join, Person: "jo", Keys: keys(1), Roles: []string{"clinician"}}))
	kit := must(RecoverySigner(NewKey(), "P"))
	if _, err := r.Clone().Sign(Recovery, kit, Entry{At: 3, Act: Rekey, Person: "ana", Keys: keys(5), Doors: doors}); err == nil {
		t.Error("a kit that nobody named signs")
	}
	must(r.Sign("ana", users()[0].Signer, Entry{At: 3, Act: Name, Name: Recovery, Public: users()[3].Pair.Public(), Sign: kit.Public(), Members: []string{"a", "b", "c"}}))
	for what, e := range map[string]Entry{
		"keys of somebody who is no owner":  {Act: Rekey, Person: "jo", Keys: keys(5), Doors: doors},
		"keys without doors":                {Act: Rekey, Person: "ana", Keys: keys(5)},
		"keys of nobody":                    {Act: Rekey, Person: "lee", Keys: keys(5), Doors: doors},
		"doors":                             {Act: Doors, Person: "ana", Doors: doors},
		"a role":                            {Act: Assign, Person: "jo", Roles: []string{Owner}},
		"a leaving":                         {Act: Leave, Person: "jo"},
		"another kit":                       {Act: Name, Name: Recovery, Public: users()[3].Pair.Public()},
		"a newcomer who is called recovery": {Act: Join, Person: Recovery, Keys: keys(5), Roles: []string{Owner}},
	} {
		if _, err := r.Clone().Sign(Recovery, kit, e); err == nil {
			t.Errorf("the kit signs %s", what)
		}
	}
	if _, err := r.Clone().Sign(Recovery, users()[1].Signer, Entry{Act: Rekey, Person: "ana", Keys: keys(5), Doors: doors}); err == nil {
		t.Error("somebody else signs for the kit")
	}
	if _, err := r.Clone().Sign("ana", users()[0].Signer, Entry{Act: Join, Person: Recovery, Keys: keys(5)}); err == nil {
		t.Error("somebody joins under the kit's name")
	}
	for what, e := range map[string]Entry{
		"two trusted people":        {Act: Name, Name: Recovery, Public: users()[3].Pair.Public(), Sign: kit.Public(), Members: []string{"a", "b"}},
		"a signing key of another":  {Act: Name, Name: "inbox", Public: users()[3].Pair.Public(), Sign: kit.Public()},
		"a signing key off a curve": {Act: Name, Name: Recovery, Public: users()[3].Pair.Public(), Sign: make([]byte, 65)},
	} {
		if _, err := r.Clone().Sign("ana", users()[0].Signer, e); err == nil {
			t.Errorf("taken: a key with %s", what)
		}
	}
	if k := r.Kit(); k.Number != 3 || len(k.Trusted) != 3 {
		t.Errorf("the kit is %+v", k)
	}
	must(r.Sign(Recovery, kit, Entry{At: 4, Act: Rekey, Person: "ana", Keys: keys(5), Doors: doors}))
	if p, _ := r.Person("ana"); !p.Keys.Pair.Equal(users()[5].Pair.Public()) || len(p.Doors) != 1 {
		t.Error("the kit signed, and the owner has the old keys")
	}
	if _, err := r.Clone().Sign("ana", users()[0].Signer, Entry{Act: Leave, Person: "jo"}); err == nil {
		t.Error("the lost keys still sign")
	}
	must(r.Sign("ana", users()[5].Signer, Entry{At: 5, Act: Name, Name: Recovery, Public: users()[2].Pair.Public()}))
	if _, err := r.Clone().Sign(Recovery, kit, Entry{Act: Rekey, Person: "ana", Keys: keys(6), Doors: doors}); err == nil {
		t.Error("a kit that was replaced still signs")
	}
}
