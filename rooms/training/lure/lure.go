// Package lure holds practice messages: what they say, how hard they are, and
// what would have given them away. They are data, as lessons are. A lure is
// kind: it does not play with pay, sickness, dismissal or a patient's need.
//
// How hard one is comes from the NIST Phish Scale (NIST TN 2276): the number of
// cues in it, and how well its premise fits the work of whoever gets it.
package lure

import (
	"embed"
	"fmt"
	"html"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed content
var content embed.FS

// Level is how hard a message is to see through, as the Phish Scale words it.
type Level string

// The three levels.
const (
	Least      Level = "least"
	Moderately Level = "moderately"
	Very       Level = "very"
)

// Scale rates a message (NIST TN 2276, table of detection difficulty): cues is
// how many it has; alignment are the five elements of the premise, of which the
// fifth, that people were warned of just this, counts against it.
func Scale(cues int, alignment [5]int) Level {
	fit := alignment[0] + alignment[1] + alignment[2] + alignment[3] - alignment[4]
	few, many := cues <= 8, cues >= 15
	strong, weak := fit >= 18, fit <= 10
	switch {
	case few && !weak, !many && strong:
		return Very
	case many && weak:
		return Least
	case !few && weak && cues >= 12: // "moderately to least"
		return Least
	}
	return Moderately
}

// Cue is one thing by which this message could be told.
type Cue struct{ What, Why string }

// Lure is one practice message.
type Lure struct {
	ID       string
	Title    string // for the owner
	From     string // display name
	Subject  string
	Headline string // of the page behind the link
	Says     string // a sentence under it
	Button   string
	Passkey  bool // the page looks like a sign-in, where no passkey offers itself
	Cues     int
	Fit      [5]int
	Telling  []Cue
	Body     []string // paragraphs; one is the link
	Link     string   // words of the link
	Own      bool
}

// Level is how hard it is.
func (l Lure) Level() Level { return Scale(l.Cues, l.Fit) }

// unkind are words that a practice message never plays with.
var unkind = regexp.MustCompile(`(?i)\b(salary|salaries|payroll|pay ?check|wages?|bonus(es)?|raise|sick( |-)?(pay|leave|days?)|lay ?offs?|laid off|dismiss\w*|terminat\w*|fired|firing|severance|patients?|clients?|suicid\w*|self-harm|emergency|emergencies|crisis|dying|died|death|funeral|cancer|diagnos\w*|pregnan\w*|vaccin\w*|covid\w*|lawsuits?|arrest\w*|police|immigration|visa)\b`)

// All returns the messages that come with the program.
func All() []Lure {
	all, err := From(content, "content")
	if err != nil {
		panic(err)
	}
	return all
}

// From reads all *.md of a folder.
func From(fsys fs.FS, dir string) (all []Lure, err error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		l, err := Parse(strings.TrimSuffix(path.Base(name), ".md"), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Lure) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

var name = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// Parse reads a message. What is hostile, unkind or incomplete is refused.
func Parse(id, text string) (l Lure, err error) {
	l = Lure{ID: id}
	wrong := func(said string, args ...any) (Lure, error) {
		return l, fmt.Errorf("practice message %s: %s", id, fmt.Sprintf(said, args...))
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	switch {
	case !name.MatchString(id):
		return wrong("its name is of lower-case letters, digits and dashes")
	case len(text) > 16<<10 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) }):
		return wrong("it is too long, or no plain text")
	case strings.ContainsAny(text, "<>"):
		return wrong("it is plain words: < and > have no place in it, and HTML is made by the program")
	case strings.Contains(strings.ToLower(text), "http:") || strings.Contains(strings.ToLower(text), "javascript:") || strings.Contains(strings.ToLower(text), "https:"):
		return wrong("it names an address; the only link is the one that {link: ...} becomes")
	}
	if found := unkind.FindString(text); found != "" {
		return wrong("it plays with %q, and practice messages are kind", found)
	}
	head, body, ok := strings.Cut(strings.TrimPrefix(text, "---\n"), "\n---\n")
	if !ok || !strings.HasPrefix(text, "---\n") {
		return wrong("it begins with a line ---, its facts, and another line ---")
	}
	for line := range strings.SplitSeq(head, "\n") {
		if cue, ok := strings.CutPrefix(line, "- "); ok {
			what, why, ok := strings.Cut(cue, " | ")
			if !ok {
				return wrong("a cue is what one could see | why it tells")
			}
			l.Telling = append(l.Telling, Cue{what, why})
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "title":
			l.Title = value
		case "from":
			l.From = value
		case "subject":
			l.Subject = value
		case "headline":
			l.Headline = value
		case "says":
			l.Says = value
		case "button":
			l.Button = value
		case "page":
			if l.Passkey = value == "passkey"; !l.Passkey && value != "plain" {
				return wrong("page is plain or passkey")
			}
		case "cues":
			if l.Cues, err = strconv.Atoi(value); err != nil {
				return wrong("cues is a number")
			}
		case "fit":
			parts := strings.Fields(value)
			if len(parts) != 5 {
				return wrong("fit is five numbers from 0 to 8")
			}
			for i, p := range parts {
				if l.Fit[i], err = strconv.Atoi(p); err != nil || l.Fit[i] < 0 || l.Fit[i] > 8 {
					return wrong("fit is five numbers from 0 to 8")
				}
			}
		case "telling":
		default:
			return wrong("%q is not known here", key)
		}
	}
	for para := range strings.SplitSeq(strings.TrimSpace(body), "\n\n") {
		para = strings.TrimSpace(para)
		if words, ok := strings.CutPrefix(para, "{link: "); ok && strings.HasSuffix(words, "}") {
			if l.Link != "" {
				return wrong("it has one link")
			}
			l.Link, para = strings.TrimSuffix(words, "}"), "{link}"
		}
		for _, hole := range regexp.MustCompile(`\{[^}]*\}?`).FindAllString(para, -1) {
			if !slices.Contains([]string{"{name}", "{practice}", "{link}"}, hole) {
				return wrong("%s is not known; there are {name}, {practice} and {link: words}", hole)
			}
		}
		l.Body = append(l.Body, para)
	}
	switch {
	case l.Title == "" || l.From == "" || l.Subject == "" || l.Headline == "" || l.Button == "":
		return wrong("it needs title, from, subject, headline and button")
	case len(l.Subject) > 120 || len(l.From) > 60 || strings.ContainsAny(l.From, `@"\,;:`):
		return wrong("its subject or sender's name is too long, or the name is none")
	case l.Link == "":
		return wrong("it needs a line {link: words}")
	case len(l.Telling) < 3 || l.Cues < len(l.Telling):
		return wrong("it tells three cues at least, and counts all it has")
	}
	return l, nil
}

// Fill returns subject, plain text and HTML of the message to one person. All
// that is filled in is text: nothing of it becomes a tag.
func (l Lure) Fill(person, practice, link string) (subject, text, page string) {
	fill := strings.NewReplacer("{name}", person, "{practice}", practice)
	var t, h strings.Builder
	for i, para := range l.Body {
		if i > 0 {
			t.WriteString("\n\n")
		}
		if para == "{link}" {
			t.WriteString(l.Link + ":\n" + link)
			h.WriteString(`<p><a href="` + html.EscapeString(link) + `">` + html.EscapeString(l.Link) + "</a></p>\n")
			continue
		}
		said := fill.Replace(para)
		t.WriteString(said)
		h.WriteString("<p>" + strings.ReplaceAll(html.EscapeString(said), "\n", "<br>\n") + "</p>\n")
	}
	return fill.Replace(l.Subject), t.String(), "<!doctype html><html lang=\"en\"><body>\n" + h.String() + "</body></html>\n"
}
