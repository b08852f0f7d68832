package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/authenticator"
)

// lostKey is what people fear who are told that nobody has a master key: the phone
// falls into the sea. In a house of its own, a real one, each door is lost in turn.
// Its person has to come back and read a chart, or the house has to have refused the
// fourth patient before. On each way the drill also tries what a finder would.
func (t *trial) lostKey() layer.Drill {
	return layer.Drill{Name: "lost-key", Proves: proves("lost-key"), Run: func(ctx context.Context, stage *layer.Stage) (layer.Report, error) {
		return runLostKey(ctx, stage, "house.db")
	}}
}

func runLostKey(ctx context.Context, stage *layer.Stage, database string) (r layer.Report, err error) {
	began := time.Now()
	r.Drill, r.Findings = "lost-key", []string{}
	t, err := newEmptyTrial(ctx, database)
	if err != nil {
		return r, fmt.Errorf("lost-key: make an empty house: %w", err)
	}
	defer func() { err = errors.Join(err, t.close()) }()
	w := &loss{t: t, r: &r, client: &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	w.port = t.URL[strings.LastIndexByte(t.URL, ':')+1:]
	w.sabotage = stage.Sabotage
	ways := w.ways()
	var names []string
	for n, way := range ways {
		if stage.Step != nil {
			stage.Step(n, len(ways))
		}
		if err := way.walk(ctx); err != nil {
			w.find("%s: %v", way.lost, err)
		}
		r.Tried++
		names = append(names, way.lost)
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
	r.Held = new(r.Opened == 0 && len(r.Findings) == 0)
	r.TookMS = time.Since(began).Milliseconds()
	r.More = map[string]any{"lost": names, "finders_tried": w.finders}
	return r, nil
}

// loss is a practice that loses one key after the other.
type loss struct {
	t        *trial
	r        *layer.Report
	client   *http.Client
	port     string
	sabotage bool
	finders  int // what somebody tried who has no right to it

	ana     *authenticator.Browser
	anaID   id.Person
	code    seal.Code // Ana's
	kit     authenticator.Kit
	shares  [3]seal.Code
	jo      *authenticator.Browser
	joID    id.Person
	patient string // the page of a patient of Ana's own team
	joins   string // of Jo's
}

type way struct {
	lost string
	walk func(context.Context) error
}

func (w *loss) ways() []way {
	return []way{
		{"the only passkey, with nothing else made: a fourth patient was refused", w.onlyPasskey},
		{"a passkey and a code, without a kit: a fourth patient was refused", w.withoutKit},
		{"the phone, with a code and a used browser left", w.phone},
		{"the code on paper, with a passkey left", w.paper},
		{"one of two passkeys", w.oneOfTwo},
		{"the phone and every used browser, with a code left", w.everyBrowser},
		{"a sole owner’s every way in, with the kit of one paper left", w.onePaper},
		{"a clinician’s every way in, with one owner left", w.faceToFace},
		{"an owner’s every way in, with another owner left", w.otherOwner},
		{"both owners’ every way in, with two shares of three left", w.twoShares},
	}
}

func (w *loss) find(text string, a ...any) {
	w.r.Findings = append(w.r.Findings, fmt.Sprintf(text, a...))
}

// finder is a try of somebody who has no right to it. It must fail.
func (w *loss) finder(what string, err error) {
	w.finders++
	if err == nil {
		w.r.Opened++
		w.find("%s: came off", what)
	}
}

func (w *loss) browser() *authenticator.Browser {
	return &authenticator.Browser{Client: w.client, Base: "http://127.0.0.1:" + w.port, Origin: w.t.URL, Device: &authenticator.Device{}}
}

// used is a browser that somebody signed in with before, without a session and
// without its passkey.
func used(b *authenticator.Browser) *authenticator.Browser {
	c := b.Copy()
	c.Forget(web.SessionCookie)
	c.Forget(web.ProofCookie)
	return c
}

// reads tells whether a browser's session reads a chart.
func (w *loss) reads(ctx context.Context, b *authenticator.Browser, at string) error {
	status, text, err := b.Get(ctx, at+"/all")
	if err != nil {
		return err
	}
	if status != http.StatusOK || !strings.Contains(html.UnescapeString(text), "Drill") {
		return fmt.Errorf("is in, and the chart stays closed (%d)", status)
	}
	return nil
}

func (w *loss) post(ctx context.Context, b *authenticator.Browser, path string, form url.Values, want int) (page string, err error) {
	status, page, err := b.PostPage(ctx, path, form)
	if err == nil && status != want {
		err = fmt.Errorf("%s answers %d, not %d", strings.SplitN(path[1:], "/", 2)[0], status, want)
	}
	return page, err
}

// tapped posts a form with a fresh tap.
func (w *loss) tapped(ctx context.Context, b *authenticator.Browser, act, object, path string, form url.Values, want int) (page string, err error) {
	ticket, err := b.Tap(ctx, act, object)
	if err != nil {
		return "", err
	}
	if form == nil {
		form = url.Values{}
	}
	form.Set(identity.TapField, ticket)
	return w.post(ctx, b, path, form, want)
}

// admit takes in a patient of a person's own team.
func (w *loss) admit(ctx context.Context, b *authenticator.Browser, who id.Person, given string, want int) error {
	team, err := w.t.identity.OwnTeam(ctx, who)
	if err != nil {
		return err
	}
	_, err = w.post(ctx, b, "/patients/new", url.Values{"family": {"Drill"}, "given": {given}, "care": {string(team)}, "another": {"yes"}}, want)
	return err
}

func (w *loss) onlyPasskey(ctx context.Context) error {
	token, err := w.t.identity.ClaimLink(ctx)
	if err != nil {
		return err
	}
	w.ana = w.browser()
	if _, err := w.post(ctx, w.ana, "/claim/"+token, url.Values{"practice": {"Drill Practice"}, "name": {"Ana Drill"}}, http.StatusSeeOther); err != nil {
		return err
	}
	if err := w.ana.Register(ctx, "/claim/"+token+"/begin", "/claim/"+token+"/finish"); err != nil {
		return err
	}
	roster, err := w.t.identity.Roster(ctx)
	if err != nil {
		return err
	}
	w.anaID = id.Person(roster.People()[0])
	for _, n := range []string{"One", "Two", "Three"} {
		if err := w.admit(ctx, w.ana, w.anaID, n, http.StatusSeeOther); err != nil {
			return err
		}
	}
	return w.admit(ctx, w.ana, w.anaID, "Four", http.StatusForbidden)
}

func (w *loss) withoutKit(ctx context.Context) error {
	err := w.addCode(ctx)
	if err != nil {
		return err
	}
	if err := w.admit(ctx, w.ana, w.anaID, "Four", http.StatusForbidden); err != nil {
		return err
	}
	if err := w.makeKit(ctx); err != nil {
		return err
	}
	if err := w.admit(ctx, w.ana, w.anaID, "Four", http.StatusSeeOther); err != nil {
		return fmt.Errorf("with two ways in and a kit: %w", err)
	}
	w.patient, err = w.patientOf(ctx, w.ana)
	return err
}

// addCode gives Ana a code on paper.
func (w *loss) addCode(ctx context.Context) error {
	ticket, err := w.ana.Tap(ctx, "add-door", string(w.anaID))
	if err != nil {
		return err
	}
	w.code = seal.NewCode(seal.Personal)
	return w.ana.GiveCode(ctx, "/doors/code", w.code, "X-Tap", ticket)
}

// makeKit makes a kit of one paper, or of three shares.
func (w *loss) makeKit(ctx context.Context, trusted ...string) error {
	ticket, err := w.ana.Tap(ctx, "set-kit", string(w.anaID))
	if err != nil {
		return err
	}
	w.kit = authenticator.Kit{Secret: seal.NewCode(seal.Kit).KEK(), Practice: w.t.ID}
	var boxes [][]byte
	if len(trusted) > 0 {
		for i := range w.shares {
			w.shares[i] = seal.NewCode(seal.Share)
		}
		for _, b := range seal.SplitKit(w.kit.Secret, w.shares, w.t.ID) {
			boxes = append(boxes, b)
		}
	}
	return w.ana.SetKit(ctx, w.kit, ticket, trusted, boxes)
}

var patientLink = regexp.MustCompile(`/patients/[A-Z2-7]{26}`)

func (w *loss) patientOf(ctx context.Context, b *authenticator.Browser) (string, error) {
	_, page, err := b.Get(ctx, "/patients")
	if err != nil {
		return "", err
	}
	if at := patientLink.FindString(page); at != "" {
		return at, nil
	}
	return "", errors.New("the list shows no patient")
}

func (w *loss) phone(ctx context.Context) error {
	b := used(w.ana)
	ticket, next, err := b.Code(ctx, w.code)
	if err != nil {
		return err
	}
	if err := w.reads(ctx, b, w.patient); err != nil {
		return err
	}
	_, _, err = used(w.ana).Code(ctx, w.code)
	w.finder("the code that was used, again", err)
	w.code = next
	if err := b.Register(ctx, "/doors/begin", "/doors/passkey", "X-Tap", ticket); err != nil {
		return err
	}
	w.ana = b
	return nil
}

func (w *loss) paper(ctx context.Context) error {
	b := w.browser()
	b.Device = w.ana.Device
	if err := b.SignIn(ctx); err != nil {
		return err
	}
	return w.reads(ctx, b, w.patient)
}

func (w *loss) oneOfTwo(ctx context.Context) error {
	ticket, err := w.ana.Tap(ctx, "add-door", string(w.anaID))
	if err != nil {
		return err
	}
	key := w.ana.Copy() // with a device of its own: a security key
	if err := key.Make(ctx, "/doors/begin", "/doors/passkey", "X-Tap", ticket); err != nil {
		return err
	}
	b := w.browser()
	b.Device = key.Device
	if err := b.SignIn(ctx); err != nil {
		return err
	}
	return w.reads(ctx, b, w.patient)
}

func (w *loss) everyBrowser(ctx context.Context) error {
	b := w.browser()
	_, _, err := b.Code(ctx, w.code)
	w.finder("a code from paper, in a browser that was never used", err)
	w.t.Later(23 * time.Hour)
	_, _, err = w.browser().Code(ctx, w.code)
	w.finder("the same, 23 hours later", err)
	w.t.Later(time.Hour + time.Minute)
	ticket, next, err := b.Code(ctx, w.code)
	if err != nil {
		return fmt.Errorf("a day later: %w", err)
	}
	w.code = next
	if err := w.reads(ctx, b, w.patient); err != nil {
		return err
	}
	if err := b.Register(ctx, "/doors/begin", "/doors/passkey", "X-Tap", ticket); err != nil {
		return err
	}
	w.ana = b
	return nil
}

func (w *loss) onePaper(ctx context.Context) error {
	// Sabotage: the team keys were never sealed to the kit, as with a product that
	// prints a kit and does not try it.
	if w.sabotage {
		err := w.t.DB.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM identity_team_keys WHERE holder = $1`, seal.Recovery)
			return err
		})
		if err != nil {
			return err
		}
	}
	b := w.browser()
	_, _, err := b.ShowKit(ctx, authenticator.Kit{Secret: seal.NewKey(), Practice: w.t.ID})
	w.finder("another practice’s kit", err)
	pass, from, err := b.ShowKit(ctx, w.kit)
	if err != nil {
		return err
	}
	if pass != "" || from == "" {
		w.finder("a paper that was found, at once", nil)
	}
	w.t.Later(24*time.Hour + time.Minute)
	if pass, _, err = b.ShowKit(ctx, w.kit); err != nil {
		return err
	}
	lost := w.ana
	if err := b.ComeBack(ctx, w.kit, pass, string(w.anaID)); err != nil {
		return err
	}
	w.finder("the lost passkey, after the return", w.fresh(lost).SignIn(ctx))
	w.ana = b
	if err := w.reads(ctx, b, w.patient); err != nil {
		return err
	}
	// With one way in again, the house refuses another patient again.
	if err := w.admit(ctx, w.ana, w.anaID, "Five", http.StatusForbidden); err != nil {
		return err
	}
	if err := w.addCode(ctx); err != nil {
		return err
	}
	return w.makeKit(ctx, "Ana Drill", "a sister", "a lawyer")
}

func (w *loss) fresh(of *authenticator.Browser) *authenticator.Browser {
	b := w.browser()
	b.Device = of.Device
	return b
}

var linkPath = regexp.MustCompile(`/join/[A-Za-z0-9_-]{43}`)

// makesKeys goes the way of a link: a passkey and a code.
func (w *loss) makesKeys(ctx context.Context, page string) (*authenticator.Browser, error) {
	link, b := linkPath.FindString(page), w.browser()
	if link == "" {
		return nil, errors.New("the page shows no link")
	}
	if _, _, err := b.Get(ctx, link); err != nil {
		return nil, err
	}
	if err := b.Make(ctx, link+"/first/begin", link+"/first/finish"); err != nil {
		return nil, err
	}
	return b, b.GiveCode(ctx, link+"/code", seal.NewCode(seal.Personal))
}

var confirmPath = regexp.MustCompile(`/people/[^"/]+/back/([^"/]+)/confirm`)

// letBack is an owner who lets somebody back in. early is tried before the words
// were compared, and before the day has passed.
func (w *loss) letBack(ctx context.Context, owner *authenticator.Browser, who id.Person) (*authenticator.Browser, error) {
	at := "/people/" + string(who) + "/back"
	page, err := w.tapped(ctx, owner, "let-back", string(who), at, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	b, err := w.makesKeys(ctx, page)
	if err != nil {
		return nil, err
	}
	w.finder("keys that were made, before any words were compared", w.fresh(b).SignIn(ctx))
	_, page, err = owner.Get(ctx, at)
	if err != nil {
		return nil, err
	}
	confirm := confirmPath.FindStringSubmatch(page)
	if confirm == nil {
		return nil, errors.New("the owner’s page shows no words")
	}
	if _, err := w.tapped(ctx, owner, "confirm-words", confirm[1], confirm[0], url.Values{"same": {"yes"}}, http.StatusSeeOther); err != nil {
		return nil, err
	}
	if err := w.fresh(owner).SignIn(ctx); err != nil {
		return nil, err
	}
	w.finder("with one owner, on the same day", w.fresh(b).SignIn(ctx))
	w.t.Later(24*time.Hour + time.Minute)
	if err := owner.SignIn(ctx); err != nil { // an owner comes in, and the house does the rest
		return nil, err
	}
	return b, b.SignIn(ctx)
}

func (w *loss) faceToFace(ctx context.Context) error {
	if err := w.ana.SignIn(ctx); err != nil {
		return err
	}
	page, err := w.tapped(ctx, w.ana, "invite", string(w.anaID), "/people/invite", url.Values{"name": {"Jo Drill"}, "role": {identity.Clinician}, "account": {"own"}, "shared": {"yes"}}, http.StatusOK)
	if err != nil {
		return err
	}
	if w.jo, err = w.makesKeys(ctx, page); err != nil {
		return err
	}
	if err := w.ana.SignIn(ctx); err != nil {
		return err
	}
	if err := w.jo.SignIn(ctx); err != nil {
		return err
	}
	roster, err := w.t.identity.Roster(ctx)
	if err != nil {
		return err
	}
	for _, p := range roster.People() {
		if id.Person(p) != w.anaID {
			w.joID = id.Person(p)
		}
	}
	if err := w.admit(ctx, w.jo, w.joID, "Five", http.StatusSeeOther); err != nil {
		return err
	}
	if w.joins, err = w.patientIn(ctx, w.jo); err != nil {
		return err
	}
	lost := w.jo
	if w.jo, err = w.letBack(ctx, w.ana, w.joID); err != nil {
		return err
	}
	w.finder("the lost passkey, after the return", w.fresh(lost).SignIn(ctx))
	return w.reads(ctx, w.jo, w.joins)
}

// patientIn is the patient whose chart somebody can read.
func (w *loss) patientIn(ctx context.Context, b *authenticator.Browser) (string, error) {
	_, page, err := b.Get(ctx, "/patients")
	if err != nil {
		return "", err
	}
	for _, at := range patientLink.FindAllString(page, -1) {
		if w.reads(ctx, b, at) == nil {
			return at, nil
		}
	}
	return "", errors.New("no chart opens")
}

func (w *loss) otherOwner(ctx context.Context) error {
	if err := w.ana.SignIn(ctx); err != nil {
		return err
	}
	form := url.Values{"role": {identity.Owner, identity.Clinician}}
	roster, err := w.t.identity.Roster(ctx)
	if err != nil {
		return err
	}
	for _, team := range roster.Teams() {
		form.Add("team", team)
	}
	if _, err := w.tapped(ctx, w.ana, "change-person", string(w.joID), "/people/"+string(w.joID), form, http.StatusSeeOther); err != nil {
		return err
	}
	if err := w.jo.SignIn(ctx); err != nil {
		return err
	}
	if w.ana, err = w.letBack(ctx, w.jo, w.anaID); err != nil {
		return err
	}
	return w.reads(ctx, w.ana, w.patient)
}

func (w *loss) twoShares(ctx context.Context) error {
	b := w.browser()
	practice, got, err := b.Shares(ctx)
	if err != nil || len(got) != 3 {
		return errors.Join(err, fmt.Errorf("%d of 3 boxes of shares", len(got)))
	}
	boxes := [3][]byte(got)
	for i, share := range w.shares {
		_, err := seal.JoinKit(share, share, boxes, practice)
		w.finder(fmt.Sprintf("share %d alone", i+1), err)
		_, err = seal.JoinKit(share, seal.NewCode(seal.Share), boxes, practice)
		w.finder(fmt.Sprintf("share %d with a made-up one", i+1), err)
	}
	secret, err := seal.JoinKit(w.shares[2], w.shares[1], boxes, practice)
	if err != nil {
		return err
	}
	kit := authenticator.Kit{Secret: secret, Practice: practice}
	pass, _, err := b.ShowKit(ctx, kit)
	if err != nil {
		return err
	}
	if err := b.ComeBack(ctx, kit, pass, string(w.anaID)); err != nil {
		return err
	}
	return w.reads(ctx, b, w.patient)
}
