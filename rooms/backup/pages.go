package backup

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"quietroom/ground/ledger"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/backup/restic"
)

func (b *Backup) mount(m *web.Mux) {
	m.Foot(web.NavItem{Text: "Backups", Path: "/backups"})
	m.Handle("GET /backups", b.showBackups, web.Owner)
	m.Handle("POST /backups/run", b.runNow, web.Owner)
	m.Handle("POST /backups/prove", b.proveNow, web.Owner)
	m.Handle("POST /backups/schedule", b.setSchedule, web.Owner)
	m.Handle("GET /backups/new", b.showNew, web.Owner)
	m.Handle("POST /backups/new", b.addPlace, web.Owner)
	m.Handle("POST /backups/{target}/remove", b.removePlace, web.Owner)
	m.Handle("POST /backups/{target}/word", b.keepWord, web.Owner)
	m.Handle("GET /backups/sheet", b.showSheet, web.Owner)
	m.Handle("POST /backups/sheet", b.keepSheet, web.Owner)
	m.Handle("GET /backups/plan", b.showPlan, web.Owner)
	m.Handle("POST /backups/plan", b.keepExercise, web.Owner)
	if b.Fresh != nil {
		m.Handle("GET /claim/{token}/bring-back", b.showBringBack, web.Anyone)
		m.Handle("POST /claim/{token}/bring-back", b.bringBack, web.Anyone)
		m.Handle("POST /claim/{token}/open", b.openBroughtBack, web.Anyone)
	}
}

type backupsPage struct {
	Sentence  layer.Evidence
	Sentences []layer.Evidence
	Places    []placeRow
	Proof     *Proof
	Settings  Settings
	Doing     string
	Fault     string
	MadeUp    bool
	Schedule  string
}

type placeRow struct {
	Target
	Where  string
	Last   Saved
	Fails  *Failing
	State  layer.State
	Result string
	Waits  bool
}

// worstFirst picks the sentence that heads the page.
func worstFirst(list []layer.Evidence, now time.Time) (head layer.Evidence, rest []layer.Evidence) {
	rank := map[layer.State]int{layer.Urgent: 5, layer.NeedsYou: 4, layer.NotKnown: 3, layer.Checking: 2}
	at := 0
	for i := range list {
		list[i] = list[i].At(now)
		if rank[list[i].State] > rank[list[at].State] {
			at = i
		}
	}
	for i, e := range list {
		if i != at {
			rest = append(rest, e)
		}
	}
	return list[at], rest
}

func (b *Backup) showBackups(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := b.standing(ctx)
	if err != nil {
		return err
	}
	p := backupsPage{Settings: s.settings, MadeUp: b.MadeUp, Schedule: web.Minutes(s.settings.EveryMinutes)}
	p.Doing, _, _ = b.now.get()
	var list []layer.Evidence
	for e, err := range b.evidence(ctx) {
		if err != nil {
			return err
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		list = []layer.Evidence{{Text: "Nothing is known of backups yet."}}
	}
	p.Sentence, p.Sentences = worstFirst(list, s.now)
	for _, t := range s.targets {
		row := placeRow{Target: t, Where: whereOf(t), Last: s.last[t.ID], State: layer.Safe, Result: "Works", Waits: !b.takes(t)}
		if f, ok := s.failing[t.ID]; ok {
			row.Fails, row.State, row.Result = &f, layer.NeedsYou, "Failing"
		} else if row.Waits {
			row.State, row.Result = layer.NeedsYou, "Waits"
		} else if row.Last.At.IsZero() {
			row.State, row.Result = layer.Checking, "Tried"
		}
		p.Places = append(p.Places, row)
	}
	if len(s.proofs) > 0 {
		p.Proof = &s.proofs[0]
	}
	return b.pages.Show(w, r, "backups", web.View{Title: "Backups", Data: p})
}

// whereOf says where a place is, without its secret.
func whereOf(t Target) string {
	kinds := map[string]string{Folder: "Folder", SFTP: "SFTP", S3: "S3", REST: "REST"}
	return kinds[t.Kind] + " " + t.Place
}

// background goes on when the request has ended; what came of it stands on the page.
func (b *Backup) background(r *http.Request, work func(context.Context)) {
	ctx := context.WithoutCancel(r.Context())
	go work(ctx)
}

func (b *Backup) runNow(w http.ResponseWriter, r *http.Request) error {
	b.background(r, func(ctx context.Context) { b.Run(ctx, nil) })
	return web.SeeOther(w, r, "/backups")
}

func (b *Backup) proveNow(w http.ResponseWriter, r *http.Request) error {
	b.background(r, func(ctx context.Context) { b.Prove(ctx, nil) })
	return web.SeeOther(w, r, "/backups")
}

func (b *Backup) setSchedule(w http.ResponseWriter, r *http.Request) error {
	every, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("every")))
	if err != nil {
		every = 0
	}
	if err := b.SetSchedule(r.Context(), every, oneLine(r.PostFormValue("keep"))); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/backups")
}

// oneLine keeps what somebody typed to one line of decent length.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300])
	}
	return text
}

type newPage struct {
	Kind   string
	Target Target
	Fault  string
	Fix    string
}

func (b *Backup) showNew(w http.ResponseWriter, r *http.Request) error {
	kind := r.URL.Query().Get("kind")
	if kind == "" {
		kind = Folder
	}
	return b.pages.Show(w, r, "new", web.View{Title: "A place for backups", Data: newPage{Kind: kind}})
}

func (b *Backup) addPlace(w http.ResponseWriter, r *http.Request) error {
	up, _ := strconv.Atoi(r.PostFormValue("up"))
	t := Target{Name: oneLine(r.PostFormValue("name")), Kind: r.PostFormValue("kind"), Place: strings.TrimSpace(r.PostFormValue("place")),
		User: strings.TrimSpace(r.PostFormValue("user")), Secret: r.PostFormValue("secret"), Region: strings.TrimSpace(r.PostFormValue("region")),
		Key: strings.TrimSpace(r.PostFormValue("key")), Known: strings.TrimSpace(r.PostFormValue("known")), Outside: r.PostFormValue("outside") == "yes", UpKiB: max(up, 0)}
	if t.Kind == SFTP && t.Known == "" {
		return b.showFault(w, r, t, &web.Error{Text: "The server’s host key is needed, so that nobody can stand in for it.", Fix: "Ask its keeper for the line, or run ssh-keyscan on a network that you trust."})
	}
	_, _, err := b.AddTarget(r.Context(), t)
	if e, ok := errors.AsType[*web.Error](err); ok {
		return b.showFault(w, r, t, e)
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/backups")
}

func (b *Backup) showFault(w http.ResponseWriter, r *http.Request, t Target, e *web.Error) error {
	t.Secret = ""
	return b.pages.Show(w, r, "new", web.View{Status: http.StatusUnprocessableEntity, Title: "A place for backups", Data: newPage{t.Kind, t, e.Text, e.Fix}})
}

func (b *Backup) removePlace(w http.ResponseWriter, r *http.Request) error {
	if _, err := b.Target(r.Context(), r.PathValue("target")); err != nil {
		return err
	}
	if err := b.RemoveTarget(r.Context(), r.PathValue("target")); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/backups")
}

func (b *Backup) keepWord(w http.ResponseWriter, r *http.Request) error {
	word := Word{Agreement: oneLine(r.PostFormValue("agreement")), Contact: oneLine(r.PostFormValue("contact")), Because: oneLine(r.PostFormValue("because")), By: b.person(r.Context())}
	if err := b.Promise(r.Context(), r.PathValue("target"), word); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/backups")
}

func (b *Backup) person(ctx context.Context) string {
	if b.Person != nil {
		if name := b.Person(ctx); name != "" {
			return name
		}
	}
	return "an owner"
}

type sheetPage struct {
	Practice string
	Text     []string
	Password []string
	Six      []string
	Settings Settings
	Day      time.Time
}

// showSheet shows what has to be on paper. It opens the backup, and nothing that
// is sealed in it.
func (b *Backup) showSheet(w http.ResponseWriter, r *http.Request) error {
	s, err := b.Sheet(r.Context())
	if err != nil {
		return err
	}
	settings, err := b.Settings(r.Context())
	if err != nil {
		return err
	}
	p := sheetPage{Practice: b.Name(), Text: strings.Split(strings.TrimSpace(s.Text()), "\n"), Password: strings.Split(s.Password, "-"), Settings: settings, Day: b.Now()}
	if len(s.Root) == len(ledger.Hash{}) {
		six := ledger.Words(ledger.Hash(s.Root))
		p.Six = six[:]
	}
	return b.pages.Show(w, r, "sheet", web.View{Title: "The recovery sheet", Data: p})
}

func (b *Backup) keepSheet(w http.ResponseWriter, r *http.Request) error {
	kept := oneLine(r.PostFormValue("kept"))
	if kept == "" {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Where is the sheet kept?", Fix: "A few words are enough: “safe at home, Dana”.", Back: "/backups/sheet"}
	}
	targets, err := b.Targets(r.Context())
	if err != nil {
		return err
	}
	by := b.person(r.Context())
	if err := b.change(r.Context(), func(s *Settings) {
		s.SheetAt, s.SheetKept, s.SheetBy, s.SheetTargets = b.Now(), kept, by, len(targets)
	}); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/backups")
}

type planPage struct {
	Practice  string
	Day       time.Time
	Places    []placeRow
	Settings  Settings
	Schedule  string
	Proof     *Proof
	Newest    time.Time
	Six       []string
	Size      string
	Due       time.Time
	Restic    string
	Exercised bool
}

// showPlan is the disaster-recovery plan (45 CFR 164.308(a)(7)), filled in with
// what is there.
func (b *Backup) showPlan(w http.ResponseWriter, r *http.Request) error {
	s, err := b.standing(r.Context())
	if err != nil {
		return err
	}
	p := planPage{Practice: b.Name(), Day: s.now, Settings: s.settings, Schedule: web.Minutes(s.settings.EveryMinutes), Newest: s.newest(), Exercised: !s.settings.Exercised.IsZero()}
	for _, t := range s.targets {
		p.Places = append(p.Places, placeRow{Target: t, Where: whereOf(t), Last: s.last[t.ID]})
	}
	if len(s.proofs) > 0 {
		p.Proof = &s.proofs[0]
	}
	if root := b.Root(); len(root) == len(ledger.Hash{}) {
		six := ledger.Words(ledger.Hash(root))
		p.Six = six[:]
	}
	if p.Exercised {
		p.Due = s.settings.Exercised.AddDate(1, 0, 0)
	}
	p.Restic, _ = restic.Restic{Program: b.Restic}.Version(r.Context())
	return b.pages.Show(w, r, "plan", web.View{Title: "If the worst happens", Data: p})
}

func (b *Backup) keepExercise(w http.ResponseWriter, r *http.Request) error {
	said := oneLine(r.PostFormValue("said"))
	if said == "" {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "What did the exercise show?", Fix: "One sentence is enough: how long it took, and what was missing.", Back: "/backups/plan"}
	}
	by := b.person(r.Context())
	if err := b.exercise(r.Context(), by, said); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/backups/plan")
}
