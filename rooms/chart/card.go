package chart

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
)

// ways are the ways to reach a patient, as a card keeps them and as people read them.
var ways = []struct{ Key, Word, Icon string }{
	{"text", "Text", "text"}, {"phone", "Phone", "phone"}, {"voicemail", "Voicemail", "voice"},
	{"mail", "Mail", "messages"}, {"post", "Post", "file"}, {"portal", "Portal", "lock"},
}

// cardPage is the form of a card: of a new patient, or of one who is here.
type cardPage struct {
	Patient       id.Patient // empty: a new one
	Version       uint64
	Card          layer.Card
	Phones, Mails string // one a line
	Emergency     []layer.Contact
	Ways          []wayChoice
	Teams         []teamChoice // only for a new patient
	Today         string
	Fault         string
	Twins         []twin       // who is here already with that name and birth date
	Differ        []difference // what somebody else wrote meanwhile
}

type wayChoice struct{ Key, Word, Is string } // Is: "yes", "no" or ""

type teamChoice struct {
	ID           id.Team
	Name         string
	Mine, Chosen bool
}

type twin struct {
	Patient    id.Patient
	Name, Born string
}

type difference struct{ What, Yours, Theirs string }

// maxWords bounds one field of a card.
const maxWords = 4000

func (c *Chart) showAdmit(w http.ResponseWriter, r *http.Request) error {
	teams, err := c.careTeams(r.Context())
	if err != nil {
		return err
	}
	page := c.cardForm(layer.Card{Language: "English"})
	page.Teams = choices(teams, ownTeam(teams))
	return c.showCard(w, r, http.StatusOK, page)
}

// ownTeam is the team that a new patient most likely belongs to: the person's
// own, if there is just one.
func ownTeam(teams []layer.Team) []id.Team {
	var mine []id.Team
	for _, t := range teams {
		if t.Mine {
			mine = append(mine, t.ID)
		}
	}
	if len(mine) != 1 {
		return nil
	}
	return mine
}

func choices(teams []layer.Team, chosen []id.Team) []teamChoice {
	list := make([]teamChoice, len(teams))
	for i, t := range teams {
		list[i] = teamChoice{t.ID, t.Name, t.Mine, slices.Contains(chosen, t.ID)}
	}
	return list
}

// careTeams returns the care teams of the practice, one's own first.
func (c *Chart) careTeams(ctx context.Context) ([]layer.Team, error) {
	all, err := c.People.Teams(ctx)
	if err != nil {
		return nil, err
	}
	var care []layer.Team
	for _, t := range all {
		if t.Kind == "care" {
			care = append(care, t)
		}
	}
	slices.SortStableFunc(care, func(a, b layer.Team) int {
		if a.Mine != b.Mine {
			if a.Mine {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return care, nil
}

func (c *Chart) cardForm(card layer.Card) cardPage {
	page := cardPage{Card: card, Phones: strings.Join(card.Phones, "\n"), Mails: strings.Join(card.Mails, "\n"), Today: c.Now().Format(time.DateOnly)}
	page.Emergency = append(slices.Clone(card.Emergency), layer.Contact{}) // one more may be added
	for _, way := range ways {
		choice := wayChoice{Key: way.Key, Word: way.Word}
		if may, said := card.Safe.Ways[way.Key]; said && may {
			choice.Is = "yes"
		} else if said {
			choice.Is = "no"
		}
		page.Ways = append(page.Ways, choice)
	}
	return page
}

func (c *Chart) showCard(w http.ResponseWriter, r *http.Request, status int, page cardPage) error {
	title := "New patient"
	if page.Patient != "" {
		title = "Change a card"
	}
	return c.show(w, r, "card", web.View{Status: status, Title: title, Data: page})
}

// admit takes in a patient by hand. Somebody with that name and birth date who
// is here already is pointed out first.
func (c *Chart) admit(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	teams, err := c.careTeams(ctx)
	if err != nil {
		return err
	}
	card := layer.Card{Since: c.Now().Format(time.DateOnly), Care: chosenTeams(r, teams)}
	fault := readCard(r, &card, c.Now())
	if fault == "" && len(card.Care) == 0 {
		fault = "Choose who cares for this patient. Only that team will open the chart."
	}
	page := c.cardForm(card)
	page.Teams, page.Fault = choices(teams, card.Care), fault
	if fault != "" {
		return c.showCard(w, r, http.StatusUnprocessableEntity, page)
	}
	if r.PostFormValue("another") == "" {
		if page.Twins, err = c.twins(ctx, card); err != nil {
			return err
		}
		if len(page.Twins) > 0 {
			return c.showCard(w, r, http.StatusConflict, page)
		}
	}
	p, err := c.take(ctx, card)
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, pageOf(p))
}

func chosenTeams(r *http.Request, teams []layer.Team) (chosen []id.Team) {
	for _, t := range teams {
		if slices.Contains(r.PostForm["care"], string(t.ID)) {
			chosen = append(chosen, t.ID)
		}
	}
	return chosen
}

func (c *Chart) take(ctx context.Context, card layer.Card) (id.Patient, error) {
	b, err := c.Vault.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer b.Drop()
	p, err := b.Admit(ctx, card)
	if err != nil {
		return "", err
	}
	return p, b.Commit(ctx)
}

// twins looks for patients with the same name, however written, and birth date.
func (c *Chart) twins(ctx context.Context, card layer.Card) ([]twin, error) {
	found, err := c.Vault.Search(ctx, card.Shown(), listed)
	if err != nil {
		return nil, err
	}
	name, _ := fold(card.Shown())
	var all []twin
	for _, l := range found.Lines {
		if here, _ := fold(l.Name); here == name && (l.Born == card.Born || l.Born == "" || card.Born == "") {
			t := twin{Patient: l.Patient, Name: strings.TrimSpace(card.Given + " " + card.Family)}
			if l.Born != "" {
				t.Born = longDay(l.Born)
			}
			all = append(all, t)
		}
	}
	return all, nil
}

// readCard reads the form into a card, and leaves alone what the form does not
// have. It returns what has to be put right, if anything.
func readCard(r *http.Request, card *layer.Card, now time.Time) (fault string) {
	field := func(name string) string {
		v := strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(name), "\r\n", "\n"))
		if len(v) > maxWords {
			fault = "One of the fields is longer than a card can hold. A note is the place for more."
		}
		return v
	}
	line := func(name string) string { return strings.Join(strings.Fields(field(name)), " ") }
	card.Family, card.Given, card.Preferred = line("family"), line("given"), line("preferred")
	card.Pronouns, card.Born, card.Language = line("pronouns"), line("born"), line("language")
	card.Phones, card.Mails = lines(field("phones")), lines(field("mails"))
	card.Address, card.Insurance = field("address"), line("insurance")
	card.Emergency = readContacts(r)
	was := card.Safe
	card.Safe = layer.SafeContact{Words: field("safe"), Ways: readWays(r), Said: was.Said}
	if (card.Safe.Words != "" || card.Safe.Ways != nil) && !sameSafe(card.Safe, was) {
		card.Safe.Said = now.Format(time.DateOnly)
	}
	switch born, err := time.Parse(time.DateOnly, card.Born); {
	case fault != "":
	case card.Family == "" && card.Given == "":
		fault = "A name is missing: one of the two is enough."
	case card.Born != "" && err != nil:
		fault = "The birth date is no date. Write it as 1991-03-04, or leave it empty."
	case card.Born != "" && (born.After(now) || born.Year() < 1900):
		fault = "The birth date does not fit: it lies in the future, or too long ago."
	}
	return fault
}

func sameSafe(a, b layer.SafeContact) bool {
	return a.Words == b.Words && fmt.Sprint(a.Ways) == fmt.Sprint(b.Ways) // maps print in order
}

func lines(text string) (list []string) {
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			list = append(list, l)
		}
	}
	return list
}

func readContacts(r *http.Request) (all []layer.Contact) {
	nth := func(field string, i int) string {
		if list := r.PostForm[field]; i < len(list) && len(list[i]) <= maxWords {
			return strings.Join(strings.Fields(list[i]), " ")
		}
		return ""
	}
	for i := range r.PostForm["contact-name"] {
		one := layer.Contact{Name: nth("contact-name", i), Bond: nth("contact-bond", i), Phone: nth("contact-phone", i)}
		if one != (layer.Contact{}) {
			all = append(all, one)
		}
	}
	return all
}

func readWays(r *http.Request) map[string]bool {
	var said map[string]bool
	for _, way := range ways {
		if v := r.PostFormValue("way-" + way.Key); v == "yes" || v == "no" {
			if said == nil {
				said = map[string]bool{}
			}
			said[way.Key] = v == "yes"
		}
	}
	return said
}

// card opens who the patient is.
func (c *Chart) card(ctx context.Context, p id.Patient) (card layer.Card, version uint64, err error) {
	who, err := c.Vault.Open(ctx, p, layer.PartIdentity)
	if err != nil {
		return card, 0, err
	}
	defer who.Close()
	return who.Card(ctx)
}

func (c *Chart) showEdit(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	card, version, err := c.card(r.Context(), p)
	if err != nil {
		return err
	}
	page := c.cardForm(card)
	page.Patient, page.Version = p, version
	return c.showCard(w, r, http.StatusOK, page)
}

// edit writes a changed card. Where somebody else was faster, both versions are
// shown and nothing is lost.
func (c *Chart) edit(w http.ResponseWriter, r *http.Request) error {
	p, err := patientOf(r)
	if err != nil {
		return err
	}
	read, err := strconv.ParseUint(r.PostFormValue("version"), 10, 63)
	if err != nil || read == 0 {
		return &web.Error{Status: http.StatusBadRequest, Text: "The form does not say which card it changes, so nothing was changed.", Fix: "Open the card again.", Back: pageOf(p)}
	}
	theirs, version, err := c.card(r.Context(), p)
	if err != nil {
		return err
	}
	yours := theirs
	fault := readCard(r, &yours, c.Now())
	page := c.cardForm(yours)
	page.Patient, page.Version, page.Fault = p, read, fault
	if fault != "" {
		return c.showCard(w, r, http.StatusUnprocessableEntity, page)
	}
	if version == read {
		err = c.setCard(r.Context(), p, yours, version)
		if err == nil {
			return web.SeeOther(w, r, pageOf(p))
		}
		if !errors.Is(err, layer.ErrConflict) {
			return err
		}
		if theirs, version, err = c.card(r.Context(), p); err != nil {
			return err
		}
	}
	page.Version, page.Differ = version, differ(yours, theirs)
	return c.showCard(w, r, http.StatusConflict, page)
}

func (c *Chart) setCard(ctx context.Context, p id.Patient, card layer.Card, version uint64) error {
	b, err := c.Vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	who, err := b.In(ctx, p, layer.PartIdentity)
	if err != nil {
		return err
	}
	if err := b.SetCard(ctx, who, card, version); err != nil {
		return err
	}
	return b.Commit(ctx)
}

// differ lists the fields of two cards that are not the same.
func differ(yours, theirs layer.Card) (list []difference) {
	a, b := spelled(yours), spelled(theirs)
	for i := range a {
		if a[i][1] != b[i][1] {
			list = append(list, difference{a[i][0], a[i][1], b[i][1]})
		}
	}
	return list
}

// spelled writes a card's fields as text, in the order of the form.
func spelled(c layer.Card) [][2]string {
	var contacts, allowed []string
	for _, e := range c.Emergency {
		contacts = append(contacts, strings.Join([]string{e.Name, e.Bond, e.Phone}, " "))
	}
	for _, way := range ways {
		if may, said := c.Safe.Ways[way.Key]; said && may {
			allowed = append(allowed, way.Word+" yes")
		} else if said {
			allowed = append(allowed, way.Word+" no")
		}
	}
	return [][2]string{
		{"Given name", c.Given}, {"Family name", c.Family}, {"Called", c.Preferred}, {"Pronouns", c.Pronouns}, {"Born", day(c.Born)},
		{"Phones", strings.Join(c.Phones, ", ")}, {"Mail", strings.Join(c.Mails, ", ")}, {"Address", c.Address}, {"Language", c.Language},
		{"Insurance", c.Insurance}, {"Safe contact", c.Safe.Words}, {"Ways", strings.Join(allowed, ", ")}, {"In an emergency", strings.Join(contacts, "; ")},
	}
}
