// Package lesson reads lessons: short texts with questions, kept as Markdown with
// front matter, so that whoever can write can add one. What a lesson may hold is
// little on purpose: words, lists, questions. There is no HTML in it, no picture
// and no link that a page would follow by itself.
package lesson

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed content
var content embed.FS

// Lesson is one lesson as it is shown.
type Lesson struct {
	ID       string
	Title    string
	Version  int
	Minutes  int
	For      []string // roles; "everyone" for all
	First    bool     // belongs to the first weeks; the others come over the year
	Reviewed time.Time
	Again    time.Time // when it has to be looked through again
	Sources  []Source
	Steps    []Step
	Hash     string // SHA-256 of the text, hex: what exactly was read
	Own      bool   // the practice's own
}

// Source is where the facts come from.
type Source struct{ Title, Link string }

// Step is one screen: some words, and questions.
type Step struct {
	Title     string
	Blocks    []Block
	Questions []Question
}

// Block is a paragraph or a list.
type Block struct {
	Text  []Span
	Items [][]Span // a list instead
}

// Span is a piece of text.
type Span struct {
	Text   string
	Strong bool
	Code   bool
}

// Question has answers, of which at least one is right.
type Question struct {
	Text    string
	Answers []Answer
}

// Answer is one answer with what is said to it.
type Answer struct {
	Text  string
	Says  string
	Right bool
}

// Bounds of what is read.
const (
	biggest   = 64 << 10
	mostSteps = 12
)

// roles are for whom a lesson may be.
var roles = []string{"everyone", "owner", "clinician", "supervisor", "front-desk", "billing"}

// All returns the lessons that come with the program, in order of id.
func All() []Lesson {
	all, err := From(content, "content")
	if err != nil {
		panic(err) // they are part of the program, and tested
	}
	return all
}

// From reads all *.md of a folder. One that cannot be read is an error that
// names it: a lesson that silently is not there is not noticed.
func From(fsys fs.FS, dir string) (all []Lesson, err error) {
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
	slices.SortFunc(all, func(a, b Lesson) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Error says what is wrong in a lesson, and where.
type Error struct {
	Lesson string
	Line   int
	Text   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("lesson %s, line %d: %s", e.Lesson, e.Line, e.Text)
}

// reader reads one lesson line by line.
type reader struct {
	l     Lesson
	line  int
	step  *Step
	asked *Question
	list  bool
	para  []string
}

func (r *reader) wrong(text string, args ...any) error {
	return &Error{r.l.ID, r.line, fmt.Sprintf(text, args...)}
}

// Parse reads a lesson. ID is its file's name: lower-case letters, digits, dashes.
func Parse(id, text string) (Lesson, error) {
	r := &reader{l: Lesson{ID: id}}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !Name(id) {
		return r.l, r.wrong("its name is of lower-case letters, digits and dashes, at most 40")
	}
	if len(text) > biggest || !utf8.ValidString(text) || strings.ContainsFunc(text, odd) {
		return r.l, r.wrong("it is too long, or no plain text")
	}
	sum := sha256.Sum256([]byte(text))
	r.l.Hash = hex.EncodeToString(sum[:])
	head, body, ok := strings.Cut(strings.TrimPrefix(text, "---\n"), "\n---\n")
	if !ok || !strings.HasPrefix(text, "---\n") {
		return r.l, r.wrong("it begins with a line ---, its facts, and another line ---")
	}
	r.line = 1
	if err := r.head(head); err != nil {
		return r.l, err
	}
	r.line++
	for line := range strings.SplitSeq(body, "\n") {
		r.line++
		if err := r.body(strings.TrimRight(line, " \t")); err != nil {
			return r.l, err
		}
	}
	r.flush()
	return r.l, r.whole()
}

// Name says whether s can name a lesson: it stands in addresses and facts.
func Name(s string) bool {
	return s != "" && len(s) <= 40 && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-") && !strings.ContainsFunc(s, func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') })
}

func odd(c rune) bool {
	return c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c))
}

func (r *reader) head(text string) (err error) {
	for line := range strings.SplitSeq(text, "\n") {
		r.line++
		if source, ok := strings.CutPrefix(line, "- "); ok {
			title, link := source, ""
			if i := strings.LastIndex(source, ", https://"); i >= 0 {
				title, link = source[:i], source[i+2:]
			}
			r.l.Sources = append(r.l.Sources, Source{title, link})
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "title":
			r.l.Title = value
		case "version":
			r.l.Version, err = strconv.Atoi(value)
		case "minutes":
			r.l.Minutes, err = strconv.Atoi(value)
		case "for":
			for role := range strings.SplitSeq(value, ",") {
				role = strings.TrimSpace(role)
				if !slices.Contains(roles, role) {
					return r.wrong("%q is nobody's role; it is for one of %s", role, strings.Join(roles, ", "))
				}
				r.l.For = append(r.l.For, role)
			}
		case "when":
			if value != "first" && value != "year" {
				return r.wrong("when is first or year")
			}
			r.l.First = value == "first"
		case "reviewed":
			r.l.Reviewed, err = time.Parse(time.DateOnly, value)
		case "again":
			r.l.Again, err = time.Parse(time.DateOnly, value)
		case "sources":
		default:
			return r.wrong("%q is not known here", key)
		}
		if err != nil {
			return r.wrong("%s: %q cannot be read", key, value)
		}
	}
	return nil
}

func (r *reader) body(line string) error {
	switch title, isStep := strings.CutPrefix(line, "# "); {
	case isStep:
		r.flush()
		r.l.Steps = append(r.l.Steps, Step{Title: title})
		r.step, r.asked = &r.l.Steps[len(r.l.Steps)-1], nil
	case line == "":
		r.flush()
	case r.step == nil:
		return r.wrong("a step begins with a line # and its title")
	case strings.HasPrefix(line, "? "):
		r.flush()
		r.step.Questions = append(r.step.Questions, Question{Text: line[2:]})
		r.asked = &r.step.Questions[len(r.step.Questions)-1]
	case strings.HasPrefix(line, "- [ ] "), strings.HasPrefix(line, "- [x] "):
		if r.asked == nil {
			return r.wrong("an answer follows a question, a line that begins with ?")
		}
		text, says, ok := strings.Cut(line[6:], " | ")
		if !ok || strings.TrimSpace(says) == "" {
			return r.wrong("an answer needs what is said to it, after |")
		}
		r.asked.Answers = append(r.asked.Answers, Answer{strings.TrimSpace(text), strings.TrimSpace(says), line[3] == 'x'})
	case r.asked != nil:
		return r.wrong("after a question only its answers come, then the next step")
	case strings.HasPrefix(line, "- "):
		if !r.list {
			r.flush()
		}
		r.list = true
		r.para = append(r.para, line[2:])
	default:
		if r.list {
			r.flush()
		}
		r.para = append(r.para, line)
	}
	return nil
}

// flush ends a paragraph or list.
func (r *reader) flush() {
	if len(r.para) == 0 {
		return
	}
	b := Block{}
	if r.list {
		for _, item := range r.para {
			b.Items = append(b.Items, spans(item))
		}
	} else {
		b.Text = spans(strings.Join(r.para, " "))
	}
	r.step.Blocks = append(r.step.Blocks, b)
	r.para, r.list = nil, false
}

// spans reads **strong** and `code`. *Emphasis* is shown plain.
func spans(text string) (all []Span) {
	for text != "" {
		i := strings.IndexAny(text, "*`")
		if i < 0 {
			return append(all, Span{Text: text})
		}
		mark := text[i : i+1]
		if strings.HasPrefix(text[i:], "**") {
			mark = "**"
		}
		inside, rest, ok := strings.Cut(text[i+len(mark):], mark)
		if !ok {
			return append(all, Span{Text: text})
		}
		if i > 0 {
			all = append(all, Span{Text: text[:i]})
		}
		all = append(all, Span{Text: inside, Strong: mark == "**", Code: mark == "`"})
		text = rest
	}
	return all
}

// whole says whether nothing is missing.
func (r *reader) whole() error {
	l := &r.l
	switch {
	case l.Title == "" || len(l.Title) > 80:
		return r.wrong("it needs a title of at most 80 letters")
	case l.Version < 1 || l.Version > 10_000:
		return r.wrong("its version is a number from 1 up")
	case l.Minutes < 1 || l.Minutes > 10:
		return r.wrong("it takes 1 to 10 minutes")
	case len(l.For) == 0:
		return r.wrong("it says for whom it is: everyone, or roles")
	case l.Reviewed.IsZero() || !l.Again.After(l.Reviewed):
		return r.wrong("it needs the day it was reviewed, and a later one for again")
	case len(l.Sources) == 0:
		return r.wrong("it names at least one source")
	case len(l.Steps) == 0 || len(l.Steps) > mostSteps:
		return r.wrong("it has 1 to %d steps", mostSteps)
	}
	for _, s := range l.Steps {
		if len(s.Blocks) == 0 {
			return r.wrong("the step %q says nothing", s.Title)
		}
		for i := range s.Questions {
			q := &s.Questions[i]
			q.turn()
			right := slices.ContainsFunc(q.Answers, func(a Answer) bool { return a.Right })
			if len(q.Answers) < 2 || len(q.Answers) > 6 || !right {
				return r.wrong("the question %q needs 2 to 6 answers, one of them right: - [x]", q.Text)
			}
		}
	}
	return nil
}

// turn puts the answers into another order, always the same one: whoever writes
// a lesson tends to put the right answer second.
func (q *Question) turn() {
	if len(q.Answers) < 2 {
		return
	}
	sum := sha256.Sum256([]byte(q.Text))
	by := int(sum[0]) % len(q.Answers)
	q.Answers = slices.Concat(q.Answers[by:], q.Answers[:by])
}

// Questions counts a lesson's questions.
func (l Lesson) Questions() (n int) {
	for _, s := range l.Steps {
		n += len(s.Questions)
	}
	return n
}

// IsFor tells whether a person with these roles has this lesson in their plan.
func (l Lesson) IsFor(has []string) bool {
	return slices.Contains(l.For, "everyone") || slices.ContainsFunc(has, func(r string) bool { return slices.Contains(l.For, r) })
}
