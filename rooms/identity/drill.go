package identity

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity/authenticator"
)

// The size of the drill: so many tries against one person, from so many
// networks, while the person signs in every so often.
const (
	spamTries    = 10_000
	spamNetworks = 250
	spamFlood    = 10 // every tenth try comes from one network alone
	spamWorkers  = 8
	sampleEvery  = 500
	soonEnough   = 2 * time.Second
)

// networkHeader tells a drill's networks apart; nobody reads it outside of one.
const networkHeader = "X-Drill-Network"

// pushSpam is what happened to a county's mental-health department: somebody
// tried to sign in as one person until that person gave in. Here there is
// nothing that a person could be prompted with.
func (i *Identity) pushSpam() layer.Drill {
	return layer.Drill{
		Name:   "push-spam",
		Proves: "10,000 tries to sign in as one person let nobody in, prompt nobody and lock nobody out",
		Run:    i.runPushSpam,
	}
}

func (i *Identity) runPushSpam(ctx context.Context, stage *layer.Stage) (layer.Report, error) {
	report := layer.Report{Drill: "push-spam", Findings: []string{}}
	if stage.Trial == nil {
		report.Skipped = "there is no made-up house to try it on"
		return report, nil
	}
	start := time.Now()
	// Sabotage: one bucket for all networks, as a lock-out by person would be; and
	// the person's browser is not known: see sample.
	from := func(r *http.Request) string { return r.Header.Get(networkHeader) }
	if stage.Sabotage {
		from = func(*http.Request) string { return "everybody" }
	}
	defer i.limits.pretend(from)()
	s, err := i.newSpam(ctx, stage)
	if err != nil {
		return report, fmt.Errorf("push-spam: %w", err)
	}
	before, err := i.outgoing(ctx)
	if err != nil {
		return report, err
	}
	s.run(ctx)
	after, err := i.outgoing(ctx)
	if err != nil {
		return report, err
	}
	if err := ctx.Err(); err != nil {
		return report, err
	}
	prompted := 0
	for table, n := range after {
		if more := n - before[table]; more > 0 {
			prompted += more
			s.find("%d rows came into %s: somebody was told, or something was made", more, table)
		}
	}
	report.Tried, report.Opened, report.Findings = s.tried, s.opened, append(report.Findings, s.findings...)
	report.Held = new(s.opened == 0 && len(s.findings) == 0 && s.tried == spamTries)
	report.TookMS = time.Since(start).Milliseconds()
	report.More = map[string]any{"prompted": prompted, "signed_in_meanwhile": s.samples, "slowest_sign_in_ms": s.slowest.Milliseconds(), "answers": s.statuses, "kinds": spamKinds()}
	return report, nil
}

// spam is one run of the drill.
type spam struct {
	stage  *layer.Stage
	base   authenticator.Browser // what every browser of the drill has in common
	person *authenticator.Browser
	device *authenticator.Device // the person's own, as it was before the drill
	code   seal.Code             // the person's own
	replay authenticator.Reply   // an answer of the person that was used already

	mu       sync.Mutex
	tried    int
	opened   int
	samples  int
	slowest  time.Duration
	statuses map[string]int
	findings []string
}

// newSpam lets one made-up person make a passkey and use it once.
func (i *Identity) newSpam(ctx context.Context, stage *layer.Stage) (*spam, error) {
	house, err := url.Parse(stage.Trial.URL)
	if err != nil {
		return nil, err
	}
	origin := i.Origin
	if o, err := url.Parse(origin); err != nil || o.Host == "" || o.Hostname() == "localhost" {
		origin = house.Scheme + "://localhost:" + house.Port()
	}
	code, err := someCode(stage.Trial.Codes)
	if err != nil {
		return nil, err
	}
	s := &spam{stage: stage, code: code, statuses: map[string]int{}, base: authenticator.Browser{
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * spamWorkers}}, Base: strings.TrimSuffix(stage.Trial.URL, "/"), Origin: origin}}
	s.person = s.browser("the-person", &authenticator.Device{})
	ticket, _, err := s.person.Code(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("the person comes in with a code: %w", err)
	}
	if err := s.person.Register(ctx, "/doors/begin", "/doors/passkey", TapHeader, ticket); err != nil {
		return nil, fmt.Errorf("the person makes a passkey: %w", err)
	}
	var q authenticator.Question
	again := s.browser("the-person", s.person.Device)
	if err := again.Ask(ctx, "/passkey/begin", struct{}{}, &q); err != nil {
		return nil, err
	}
	if s.replay, err = again.Answer(q); err != nil {
		return nil, err
	}
	if err := again.Ask(ctx, "/passkey/finish", s.replay, nil); err != nil {
		return nil, fmt.Errorf("the person signs in: %w", err)
	}
	s.device = s.person.Device.Clone()
	return s, nil
}

// someCode takes the code of a clinician, who has most to lose.
func someCode(codes map[string]string) (seal.Code, error) {
	var handles []string
	for h := range codes {
		handles = append(handles, h)
	}
	slices.Sort(handles)
	if len(handles) == 0 {
		return seal.Code{}, errors.New("the made-up house has no people")
	}
	handle := handles[0]
	if _, ok := codes["clinician-1"]; ok {
		handle = "clinician-1"
	}
	return seal.ParseCode(seal.Personal, codes[handle])
}

func (s *spam) browser(network string, d *authenticator.Device) *authenticator.Browser {
	return &authenticator.Browser{Client: s.base.Client, Base: s.base.Base, Origin: s.base.Origin, Device: d, Header: http.Header{networkHeader: {network}}}
}

func (s *spam) find(text string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text = fmt.Sprintf(text, a...); len(s.findings) < 20 && !slices.Contains(s.findings, text) {
		s.findings = append(s.findings, text)
	}
}

// run tries, and has the person sign in meanwhile.
func (s *spam) run(ctx context.Context) {
	tries := make(chan int)
	var wg sync.WaitGroup
	for range spamWorkers {
		wg.Go(func() {
			for n := range tries {
				s.try(ctx, n)
			}
		})
	}
	samples := make(chan struct{}, spamTries/sampleEvery)
	var watch sync.WaitGroup
	watch.Go(func() {
		for range samples {
			s.sample(ctx)
		}
	})
	for n := range spamTries {
		if ctx.Err() != nil {
			break
		}
		if n%sampleEvery == 0 {
			samples <- struct{}{}
		}
		tries <- n
		if s.stage.Step != nil && n%100 == 0 {
			s.stage.Step(n, spamTries)
		}
	}
	close(tries)
	close(samples)
	wg.Wait()
	watch.Wait()
}

// sample has the real person sign in, from another network.
func (s *spam) sample(ctx context.Context) {
	start := time.Now()
	b := s.person.Copy() // a browser that knows the person, without a session
	b.Device = s.person.Device
	b.Forget(web.SessionCookie)
	b.Forget(web.ProofCookie)
	if s.stage.Sabotage {
		b.Forget(knownCookie)
	}
	err := b.SignIn(ctx)
	took := time.Since(start)
	if err != nil && ctx.Err() == nil {
		s.find("the person could not sign in meanwhile: %v", err)
	}
	if took > soonEnough {
		s.find("the person waited longer than %v to sign in", soonEnough)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples++
	s.slowest = max(s.slowest, took)
}

// attack is one way to try to come in as somebody else. nil means that it came in.
type attack struct {
	name string
	try  func(context.Context, *spam, *authenticator.Browser) error
}

func attacks() []attack {
	answer := func(bend func(*authenticator.Device, *authenticator.Browser, *authenticator.Question) error) func(context.Context, *spam, *authenticator.Browser) error {
		return func(ctx context.Context, s *spam, b *authenticator.Browser) error { return s.answer(ctx, b, bend) }
	}
	return []attack{
		{"no such code", func(ctx context.Context, s *spam, b *authenticator.Browser) error {
			return s.typed(ctx, b, seal.NewKey(), seal.NewKey())
		}},
		{"wrong code", func(ctx context.Context, s *spam, b *authenticator.Browser) error {
			return s.typed(ctx, b, s.code.Auth(), seal.NewKey())
		}},
		{"forged signature", answer(func(d *authenticator.Device, _ *authenticator.Browser, _ *authenticator.Question) error {
			return d.Forge()
		})},
		{"replayed answer", func(ctx context.Context, s *spam, b *authenticator.Browser) error {
			return b.Ask(ctx, "/passkey/finish", s.replay, nil)
		}},
		{"replayed for a new question", func(ctx context.Context, s *spam, b *authenticator.Browser) error {
			var q authenticator.Question
			if err := b.Ask(ctx, "/passkey/begin", struct{}{}, &q); err != nil {
				return err
			}
			r := s.replay
			r.Ceremony = q.Ceremony
			return b.Ask(ctx, "/passkey/finish", r, nil)
		}},
		{"another site", answer(func(_ *authenticator.Device, b *authenticator.Browser, _ *authenticator.Question) error {
			b.Device.Origin = "https://vault.example.evil"
			return nil
		})},
		{"another house's passkey", answer(func(d *authenticator.Device, _ *authenticator.Browser, q *authenticator.Question) error {
			d.Elsewhere("evil.example")
			return q.Set("rpId", "evil.example")
		})},
		{"another challenge", answer(func(_ *authenticator.Device, _ *authenticator.Browser, q *authenticator.Question) error {
			return q.Set("challenge", rand.Text())
		})},
		{"old question", func(ctx context.Context, s *spam, b *authenticator.Browser) error {
			r := s.replay
			r.Ceremony = string(id.New[id.Record]())
			return b.Ask(ctx, "/passkey/finish", r, nil)
		}},
		{"unknown passkey", answer(func(d *authenticator.Device, _ *authenticator.Browser, _ *authenticator.Question) error {
			d.Rename()
			return nil
		})},
		{"nobody recognised", answer(func(d *authenticator.Device, _ *authenticator.Browser, _ *authenticator.Question) error {
			d.Unverified = true
			return nil
		})},
		{"forged, with a guessed key", answer(func(d *authenticator.Device, _ *authenticator.Browser, _ *authenticator.Question) error {
			d.Blank()
			return d.Forge()
		})},
		{"nonsense", func(ctx context.Context, _ *spam, b *authenticator.Browser) error {
			return b.Ask(ctx, "/passkey/finish", json.RawMessage(`{"ceremony":"`+rand.Text()+`","credential":{"id":1},"box":"AAAA"}`), nil)
		}},
	}
}

func spamKinds() (names []string) {
	for _, a := range attacks() {
		names = append(names, a.name)
	}
	return names
}

// count writes down what came of one try.
func (s *spam) count(in bool, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	s.statuses[answer]++
	if in {
		s.opened++
	}
}

// try makes one try from its network.
func (s *spam) try(ctx context.Context, n int) {
	network := fmt.Sprintf("network-%d", n%spamNetworks)
	if n%spamFlood == 0 {
		network = "the-flood"
	}
	all := attacks()
	s.look(ctx, all[n%len(all)], network)
}

// look makes one attack, and writes down what came of it.
func (s *spam) look(ctx context.Context, a attack, network string) {
	err := a.try(ctx, s, s.browser(network, s.device.Clone()))
	if ctx.Err() != nil {
		return
	}
	answer := "let in"
	if refused, ok := errors.AsType[*authenticator.Refused](err); ok {
		answer = fmt.Sprint(refused.Status)
		if refused.Status >= http.StatusInternalServerError {
			s.find("%s: the house answered %d", a.name, refused.Status)
		}
	} else if err != nil {
		answer = "no answer"
		s.find("%s: %v", a.name, err)
	}
	s.count(err == nil, answer)
	if err == nil {
		s.find("%s: came in", a.name)
	}
}

// answer answers a fresh question with the person's own device, bent.
func (s *spam) answer(ctx context.Context, b *authenticator.Browser, bend func(*authenticator.Device, *authenticator.Browser, *authenticator.Question) error) error {
	var q authenticator.Question
	if err := b.Ask(ctx, "/passkey/begin", struct{}{}, &q); err != nil {
		return err
	}
	if err := bend(b.Device, b, &q); err != nil {
		return err
	}
	r, err := b.Answer(q)
	if err != nil {
		return err
	}
	return b.Ask(ctx, "/passkey/finish", r, nil)
}

// typed sends the parts of a code.
func (s *spam) typed(ctx context.Context, b *authenticator.Browser, auth, kek seal.Key) error {
	var q authenticator.Question
	if err := b.Ask(ctx, "/code/begin", struct{}{}, &q); err != nil {
		return err
	}
	box, err := seal.SealToCeremony(q.Seal, q.Ceremony, slices.Concat(auth[:], kek[:], auth[:], kek[:]))
	if err != nil {
		return err
	}
	return b.Ask(ctx, "/code/finish", authenticator.Reply{Ceremony: q.Ceremony, Box: box}, nil)
}

// outgoing counts the rows through which anybody could be told something, or
// come in later: whatever the rooms call them.
func (i *Identity) outgoing(ctx context.Context) (map[string]int, error) {
	list := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if i.DB.Kind() == store.Postgres {
		list = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	tables, err := texts(ctx, i.DB, list)
	if err != nil {
		return nil, err
	}
	rows := map[string]int{}
	for _, t := range tables {
		told := slices.ContainsFunc([]string{"outbox", "notice", "outgoing", "push", "message", "mail"}, func(w string) bool { return strings.Contains(t, w) })
		own := strings.HasPrefix(t, "identity_") && t != "identity_kept"
		if !told && !own || strings.Contains(t, `"`) {
			continue
		}
		var n int
		if err := i.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM "`+t+`"`).Scan(&n); err != nil {
			return nil, fmt.Errorf("count %s: %w", t, err)
		}
		rows[t] = n
	}
	return rows, nil
}

func texts(ctx context.Context, db reader, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}
