package trackers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"quietroom/rooms/trackers/chrome"
)

// Harm is all that one party is told on one page: what an owner acts upon.
type Harm struct {
	Key           string // the same in every scan
	Page          string
	PageKind      string
	Who           string // the vendor's name, or the host
	Category      string
	Hosts         []string
	Severity      Severity
	BeforeConsent bool
	Sentence      string
	Findings      []Finding // the worst first
}

// Harms puts findings together by page and receiver, the worst first. Findings of
// which nobody is told stand by themselves.
func Harms(r *Result) []Harm {
	var order []string
	by := map[string]*Harm{}
	for _, f := range r.Findings {
		key := harmKey(f)
		h := by[key]
		if h == nil {
			h = &Harm{Key: key, Page: f.Page, PageKind: f.PageKind, Who: f.Vendor, Category: f.Category, Severity: f.Severity}
			if h.Who == "" {
				h.Who = f.To
			}
			by[key] = h
			order = append(order, key)
		}
		if f.To != "" && !slices.Contains(h.Hosts, f.To) {
			h.Hosts = append(h.Hosts, f.To)
		}
		if f.Severity.rank() < h.Severity.rank() {
			h.Severity = f.Severity
		}
		h.BeforeConsent = h.BeforeConsent || f.BeforeConsent
		h.Findings = append(h.Findings, f)
	}
	var all []Harm
	for _, key := range order {
		h := *by[key]
		h.Sentence = h.say()
		all = append(all, h)
	}
	slices.SortStableFunc(all, func(a, b Harm) int { return a.Severity.rank() - b.Severity.rank() })
	return all
}

func harmKey(f Finding) string {
	page := f.Page
	if u, err := url.Parse(f.Page); err == nil {
		page = u.Host + u.Path
	}
	who, kind := f.Vendor, ""
	if who == "" {
		who = f.To
	}
	switch f.Kind {
	case Relay, LocalNetwork:
		kind = f.Kind
	}
	if f.To == "" {
		kind = f.Kind + f.What
	}
	sum := sha256.Sum256([]byte(page + "\n" + who + "\n" + kind))
	return hex.EncodeToString(sum[:12])
}

// mostNamed is how many things one sentence names.
const mostNamed = 5

// say is the harm in one or two sentences: "Your booking page told Meta (Facebook)
// the chosen clinician and a hash of the e-mail address."
func (h Harm) say() string {
	told, pressed := phrases(h.Findings, false), phrases(h.Findings, true)
	page := "Your " + pageName(h.PageKind)
	first := h.Findings[0]
	replay := slices.ContainsFunc(h.Findings, func(f Finding) bool { return f.Kind == SessionReplay })
	switch {
	case first.Kind == Relay || first.Kind == LocalNetwork || first.To == "":
		return first.Sentence
	case len(told) > 0:
		s := fmt.Sprintf("%s told %s %s.", page, whom(first), listed(told))
		if replay {
			s += " It also sent a recording of what a visitor does there."
		}
		return s
	case len(pressed) > 0:
		return fmt.Sprintf("When its button is pressed, your %s tells %s %s. The scan let nothing of that out.", pageName(h.PageKind), whom(first), listed(pressed))
	case replay:
		return fmt.Sprintf("%s sent %s a recording of what a visitor sees and does there.", page, whom(first))
	}
	if n := len(h.Findings); n > 1 && first.Kind != Contact {
		return first.Sentence + fmt.Sprintf(" And %s of this kind.", counted(n-1, "more", "more"))
	}
	return first.Sentence
}

// phrases are what was told, each thing once: as a hash only if it was told so only.
func phrases(findings []Finding, pressed bool) (all []string) {
	plain, hashed, order := map[string]bool{}, map[string]string{}, []string{}
	for _, f := range findings {
		if f.Kind != FormData && f.Kind != KeyLogging && f.Kind != PageFact && f.Kind != Identifier || strings.HasPrefix(f.What, "a script") {
			continue
		}
		if (f.Evidence.Stage == string(chrome.Pressed)) != pressed {
			continue
		}
		before, after := how(f.Encoding)
		if !slices.Contains(order, f.What) {
			order = append(order, f.What)
		}
		if before == "" {
			plain[f.What] = true
		}
		if after == "" || hashed[f.What] == "" {
			hashed[f.What] = before
		}
	}
	for _, what := range order {
		if plain[what] {
			all = append(all, the(what))
		} else {
			all = append(all, the(hashed[what]+what))
		}
	}
	return all
}

func listed(all []string) string {
	if len(all) > mostNamed {
		all = append(slices.Clone(all[:mostNamed-1]), counted(len(all)-mostNamed+1, "more", "more"))
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
