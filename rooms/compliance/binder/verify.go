package binder

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"time"

	"quietroom/ground/ledger"
)

// Report is what Verify found.
type Report struct {
	Held     bool      `json:"held"` // every byte is as it was written, and bound to the head
	Practice string    `json:"practice,omitempty"`
	Made     time.Time `json:"made,omitzero"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Entries  int       `json:"entries"`
	Facts    int       `json:"facts"`          // of the ledger, each with its proof
	Head     string    `json:"head,omitempty"` // six words, to compare with what the owner holds
	Letters  []Words   `json:"letters,omitempty"`
	Findings []Finding `json:"findings"`
}

// Words are the six words of a letter.
type Words struct {
	On   string `json:"on"`
	Head string `json:"head"`
}

// Finding names one thing that is not as it was written.
type Finding struct {
	Entry string `json:"entry"` // "" for the file as a whole
	Text  string `json:"text"`
}

// mostFindings is how many are told of.
const mostFindings = 50

// ErrNoBundle means that a file is no proof bundle of Quietroom at all.
var ErrNoBundle = errors.New("this is no proof bundle of Quietroom")

// Verify checks every byte of a bundle, on any machine, without a network. An
// error means that it could not be read, or is no bundle; what was changed in one
// stands in Findings. Nothing is unpacked, and nothing is written anywhere.
func Verify(r io.ReaderAt, size int64) (Report, error) {
	v := &verifier{r: r, size: size, report: Report{Findings: []Finding{}}}
	if size > maxBundle {
		return v.report, fmt.Errorf("%w: it is larger than a gigabyte", ErrNoBundle)
	}
	v.lines, v.directory, v.tail = directoryOf(r, size)
	list, found := v.find(listName, 0, maxList)
	if !found {
		return v.report, fmt.Errorf("%w: there is no %s in it", ErrNoBundle, listName)
	}
	bad := decode(list, &v.contents)
	if bad == nil {
		bad = v.contents.check()
	}
	if bad != nil {
		v.say(listName, "it was changed: it cannot be read as Quietroom writes it. Of the other entries nothing can be said")
		return v.done(), nil
	}
	v.report.Practice, v.report.Made, v.report.From, v.report.To = v.contents.Practice, v.contents.Made, v.contents.From, v.contents.To
	v.report.Entries = len(v.contents.Entries)
	at := place(listName, int64(len(list)))
	for _, e := range v.contents.Entries {
		at += place(e.Name, e.Size)
	}
	text, found := v.find(sealName, at, maxSeal)
	if !found {
		v.say(sealName, "it is missing: nothing binds the bundle to a ledger")
		v.compare(list, nil)
		return v.done(), nil
	}
	bound := v.checkSeal(text, list)
	if bound || !v.says(listName) { // else the list itself was changed, and blames others
		v.compare(list, text)
	}
	return v.done(), nil
}

type verifier struct {
	r         io.ReaderAt
	size      int64
	report    Report
	contents  Contents
	lines     []line // what the directory says
	directory int64  // where it begins
	tail      int64  // where its end begins; -1 without one
}

func (c Contents) check() error {
	if c.Format != format || len(c.Entries) > maxEntries {
		return errors.New("it is of another form")
	}
	seen, total := map[string]bool{}, int64(0)
	for _, e := range c.Entries {
		total += e.Size
		if !goodName(e.Name) || seen[e.Name] || e.Size < 0 || e.Size > maxBundle || total > maxBundle {
			return errors.New("it lists what cannot be")
		}
		seen[e.Name] = true
	}
	return nil
}

// place is how many bytes an entry takes.
func place(name string, size int64) int64 { return localSize + int64(len(name)) + size }

func (v *verifier) say(entry, text string) {
	if len(v.report.Findings) < mostFindings {
		v.report.Findings = append(v.report.Findings, Finding{entry, text})
	}
}

func (v *verifier) says(entry string) bool {
	return slices.ContainsFunc(v.report.Findings, func(f Finding) bool { return f.Entry == entry })
}

func (v *verifier) done() Report {
	v.report.Held = len(v.report.Findings) == 0
	return v.report
}

// read reads n bytes at a place; nil if they are not there.
func (v *verifier) read(at, n int64) []byte {
	if at < 0 || n < 0 || at > v.size || n > v.size-at {
		return nil
	}
	b := make([]byte, n)
	if _, err := v.r.ReadAt(b, at); err != nil && err != io.EOF {
		return nil
	}
	return b
}

// find returns the bytes of one of our own two entries: at the place where it
// belongs, by the size that stands there, else where the directory says.
func (v *verifier) find(name string, at, most int64) ([]byte, bool) {
	var torn []byte // what stands there, and cannot be ours as it is
	try := func(at, size int64) []byte {
		if size <= 0 || size > most {
			return nil
		}
		b := v.read(at+localSize+int64(len(name)), size)
		if b != nil && b[0] == '{' && bytes.HasSuffix(b, []byte("}\n")) {
			return b
		}
		if torn == nil {
			torn = b
		}
		return nil
	}
	var sizes []int64
	if head := v.read(at, localSize+int64(len(name))); head != nil && string(head[localSize:]) == name {
		sizes = append(sizes, int64(u32(head[18:])), int64(u32(head[22:])))
	}
	for _, l := range v.lines {
		if l.name == name || int64(l.at) == at { // the second: it was renamed, or its line was changed
			sizes = append(sizes, int64(l.size))
		}
		if l.name == name {
			if b := try(int64(l.at), int64(l.size)); b != nil {
				return b, true
			}
		}
	}
	for _, size := range sizes {
		if b := try(at, size); b != nil {
			return b, true
		}
	}
	return torn, torn != nil
}

// checkSeal checks that the head is signed, and that a fact in it carries the
// hash of the list.
func (v *verifier) checkSeal(text, list []byte) (bound bool) {
	var s Seal
	changed := func(what string) bool {
		v.say(sealName, "it was changed: "+what)
		return false
	}
	if err := decode(text, &s); err != nil || s.Format != format {
		return changed("it cannot be read as Quietroom writes it")
	}
	key, err := ledger.ParseKey(s.Key)
	if err != nil || strings.HasPrefix(s.Key, "PRIVATE") || s.Key != key.Verifier() {
		return changed("its key cannot be read")
	}
	head, err := parseHead(s.Head, key)
	if err != nil {
		return changed("its head is not the one that the key signed")
	}
	fact, err := s.Fact.Check(head)
	if err != nil || fact.Kind != Fact {
		return changed("its fact does not stand in the head")
	}
	six := head.Words()
	v.report.Head = strings.Join(six[:], " · ")
	hash := sha256.Sum256(list)
	if !bytes.Equal(fact.Hash, hash[:]) {
		v.say(listName, "it was changed: it is not the list that the ledger knows. Of the other entries nothing can be said")
		return false
	}
	return v.checkFacts(s, head, key)
}

// parseHead reads a signed head that has one signature, in its one form.
func parseHead(text string, key ledger.Key) (ledger.Checkpoint, error) {
	head, err := ledger.ParseCheckpoint([]byte(text), key)
	if err != nil {
		return head, err
	}
	_, signed, _ := strings.Cut(text, "\n\n")
	last := strings.LastIndexByte(strings.TrimSuffix(signed, "\n"), ' ')
	if strings.Count(signed, "\n") != 1 || last < 0 {
		return head, errors.New("binder: a head with more than one signature")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(signed[last+1:], "\n")); err != nil {
		return head, errors.New("binder: a signature in another form")
	}
	return head, nil
}

// checkFacts checks the facts in the bundle, and that the heads of facts and
// letters begin the head.
func (v *verifier) checkFacts(s Seal, head ledger.Checkpoint, key ledger.Key) bool {
	at := place(listName, int64(len(mustEncode(v.contents))))
	var text []byte
	for _, e := range v.contents.Entries {
		if e.Name == FactsName {
			text = v.read(at+localSize+int64(len(e.Name)), e.Size)
			for _, l := range v.lines {
				if sum(text) != e.SHA256 && l.name == e.Name { // it stands elsewhere
					text = v.read(int64(l.at)+localSize+int64(len(e.Name)), e.Size)
				}
			}
			if text != nil && sum(text) != e.SHA256 {
				return true // compare says so
			}
		}
		at += place(e.Name, e.Size)
	}
	if text == nil {
		return true // it is missing, and compare says so; or the bundle has no facts
	}
	var f Facts
	if decode(text, &f) != nil {
		v.say(FactsName, "it cannot be read as Quietroom writes it")
		return true
	}
	heads := []string{f.Head}
	for _, l := range f.Letters {
		heads = append(heads, l.Head)
	}
	if len(s.Past) != len(heads) {
		v.say(sealName, fmt.Sprintf("it was changed: it shows %d earlier heads, the bundle has %d", len(s.Past), len(heads)))
		return true
	}
	for i, text := range heads {
		past, err := parseHead(text, key)
		if err != nil || s.Past[i].Check(past, head) != nil {
			v.say(sealName, "it was changed: an earlier head is not the beginning of the head")
			continue
		}
		six := past.Words()
		if i > 0 {
			v.report.Letters = append(v.report.Letters, Words{f.Letters[i-1].On, strings.Join(six[:], " · ")})
			continue
		}
		for _, fact := range f.Facts {
			if _, err := fact.Check(past); err != nil {
				v.say(FactsName, fmt.Sprintf("fact %d does not stand in its head", fact.N))
				continue
			}
			v.report.Facts++
		}
	}
	return true
}

func mustEncode(v any) []byte { b, _ := Encode(v); return b } // what was decoded can be encoded

// compare compares the whole file with the one that the list asks for: headers,
// contents, directory and end, each at its place.
func (v *verifier) compare(list, seal []byte) {
	want := append([]Listed{{listName, int64(len(list)), sum(list)}}, v.contents.Entries...)
	if seal != nil {
		want = append(want, Listed{sealName, int64(len(seal)), sum(seal)})
	}
	var changed []Finding
	var directory []header
	at := int64(0)
	for _, e := range want {
		h := header{name: e.Name, size: uint32(e.Size), at: uint32(at)}
		data := at + localSize + int64(len(e.Name))
		hash, crc, ok := v.hash(data, e.Size)
		h.crc = crc
		if !ok || hash != e.SHA256 {
			changed = append(changed, Finding{e.Name, "its content was changed"})
		} else if !bytes.Equal(v.read(at, data-at), h.local()) {
			changed = append(changed, Finding{e.Name, "its header was changed"})
		}
		directory = append(directory, h)
		at += place(e.Name, e.Size)
	}
	begins := at
	for _, h := range directory {
		line := h.central()
		if !bytes.Equal(v.read(at, int64(len(line))), line) && !slices.ContainsFunc(changed, func(f Finding) bool { return f.Entry == h.name }) {
			changed = append(changed, Finding{h.name, "its line in the directory was changed"})
		}
		at += int64(len(line))
	}
	if last := end(len(want), int(at-begins), int(begins)); !bytes.Equal(v.read(at, endSize), last) {
		changed = append(changed, Finding{"", "the end of the file was changed"})
	}
	at += endSize
	if len(changed) == 0 && at == v.size {
		return
	}
	told := len(v.report.Findings)
	v.explain(want, at)
	moved := at != v.size || len(v.report.Findings) > told // then places say nothing
	for _, f := range changed {
		if !moved && !v.says(f.Entry) {
			v.say(f.Entry, f.Text)
		}
	}
	if len(v.report.Findings) == 0 {
		if len(changed) > 0 {
			v.say(changed[0].Entry, changed[0].Text)
			return
		}
		v.say("", fmt.Sprintf("the file has %d bytes, want %d", v.size, at))
	}
}

// hash reads a part of the file in pieces.
func (v *verifier) hash(at, n int64) (hash string, crc uint32, ok bool) {
	if at < 0 || n < 0 || at > v.size || n > v.size-at {
		return "", 0, false
	}
	h, c := sha256.New(), crc32.NewIEEE()
	if _, err := io.Copy(io.MultiWriter(h, c), io.NewSectionReader(v.r, at, n)); err != nil {
		return "", 0, false
	}
	return hex.EncodeToString(h.Sum(nil)), c.Sum32(), true
}

// explain names what somebody did who packed the bundle anew, by its directory.
func (v *verifier) explain(want []Listed, size int64) {
	if v.tail < 0 {
		v.say("", "it ends too early: its directory is missing or cannot be read")
		return
	}
	if after := v.size - v.tail - endSize; after > 0 {
		comment := int64(u16(v.read(v.tail, endSize)[20:]))
		if comment > 0 {
			v.say("", fmt.Sprintf("a comment of %d bytes was added at the end", comment))
		}
		if after > comment {
			v.say("", fmt.Sprintf("%d bytes were added after the end", after-comment))
		}
	}
	if v.shifted(want) {
		return
	}
	listed := map[string]Listed{}
	for _, e := range want {
		listed[e.Name] = e
	}
	count, before := map[string]int{}, int64(0)
	var order, wanted []string
	var added []line
	for _, l := range v.lines {
		count[l.name]++
		if _, ok := listed[l.name]; !ok {
			added = append(added, l)
			continue
		}
		if count[l.name] == 1 {
			order = append(order, l.name)
		}
		if l.extra > 0 {
			v.say(l.name, "an extra field was added to its line in the directory")
		}
		if l.comment > 0 {
			v.say(l.name, "a comment was added to it")
		}
		if l.method != 0 {
			v.say(l.name, "it was packed anew, with compression")
		} else if h := v.read(int64(l.at), localSize); h != nil && u16(h[28:]) > 0 {
			v.say(l.name, "an extra field was added to its header")
		}
	}
	for name, n := range count {
		if n > 1 {
			v.say(name, fmt.Sprintf("it is there %d times", n))
		}
	}
	for _, e := range want {
		if count[e.Name] > 0 {
			wanted = append(wanted, e.Name)
			continue
		}
		renamed := slices.IndexFunc(added, func(l line) bool {
			hash, _, ok := v.hash(int64(l.at)+localSize+int64(len(l.name)), e.Size)
			return ok && hash == e.SHA256
		})
		if renamed >= 0 {
			v.say(e.Name, fmt.Sprintf("it was renamed to %s", show(added[renamed].name)))
			added = slices.Delete(added, renamed, renamed+1)
			continue
		}
		v.say(e.Name, "it is missing")
	}
	for _, l := range added {
		v.say(show(l.name), "it was added: the list does not have it")
	}
	if !slices.Equal(order, wanted) {
		for i := range min(len(order), len(wanted)) {
			if order[i] != wanted[i] {
				v.say(order[i], fmt.Sprintf("the order was changed: it stands where %s belongs", wanted[i]))
				break
			}
		}
	}
	for _, e := range want { // its content, wherever it stands now
		i := slices.IndexFunc(v.lines, func(l line) bool { return l.name == e.Name })
		if i < 0 || v.lines[i].method != 0 {
			continue
		}
		l := v.lines[i]
		h := v.read(int64(l.at), localSize)
		if h == nil {
			v.say(e.Name, "its place in the file cannot be read")
			continue
		}
		at := int64(l.at) + localSize + int64(u16(h[26:])) + int64(u16(h[28:]))
		if hash, _, ok := v.hash(at, int64(l.size)); !ok || hash != e.SHA256 {
			if v.size != size || len(v.lines) != len(want) {
				v.say(e.Name, "its content was changed")
			}
		}
		before = at + int64(l.size)
	}
	if gap := v.directory - before; gap > 0 && v.size != size && len(v.report.Findings) == 0 {
		v.say("", fmt.Sprintf("%d bytes were put in before the directory", gap))
	}
}

// shifted tells whether all is as it was, but for bytes that were put in or taken
// out somewhere, and says where.
func (v *verifier) shifted(want []Listed) bool {
	by := v.directory - int64(u32(v.read(v.tail, endSize)[16:]))
	if by == 0 || len(v.lines) != len(want) {
		return false
	}
	at, last := int64(0), ""
	for i, e := range want {
		if v.lines[i].name != e.Name || int64(v.lines[i].at) != at {
			return false
		}
		head := v.read(at, localSize+int64(len(e.Name)))
		if head == nil || string(head[localSize:]) != e.Name {
			switch {
			case by < 0:
				v.say(last, fmt.Sprintf("%d bytes of it are gone", -by))
			case last == "" || v.whole(want[i-1], at):
				v.say(e.Name, fmt.Sprintf("%d bytes were put in before it", by))
			default:
				v.say(last, "its content was changed: it is longer than it was")
			}
			return true
		}
		at, last = at+place(e.Name, e.Size), e.Name
	}
	v.say("", fmt.Sprintf("%d bytes were put in before the directory", by))
	return true
}

// whole tells whether the content of an entry that ends at a place is as listed.
func (v *verifier) whole(e Listed, end int64) bool {
	hash, _, ok := v.hash(end-e.Size, e.Size)
	return ok && hash == e.SHA256
}

// show quotes a name that a stranger chose.
func show(name string) string {
	if goodName(name) {
		return name
	}
	if len(name) > maxName {
		name = name[:maxName]
	}
	return fmt.Sprintf("%+q", name)
}

// line is what the directory says of one entry.
type line struct {
	name           string
	method         uint16
	size, at       uint32
	extra, comment int
}

func u16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
func u32(b []byte) uint32 { return uint32(u16(b)) | uint32(u16(b[2:]))<<16 }

// directoryOf reads the directory as far as it can be read, and no more of it
// than a bundle may have.
func directoryOf(r io.ReaderAt, size int64) (lines []line, directory, tail int64) {
	n := min(size, endSize+1<<16)
	b := make([]byte, n)
	if _, err := r.ReadAt(b, size-n); err != nil && err != io.EOF {
		return nil, 0, -1
	}
	i := bytes.LastIndex(b, []byte("PK\x05\x06"))
	if i < 0 || len(b)-i < endSize {
		return nil, 0, -1
	}
	tail = size - n + int64(i)
	directory = int64(u32(b[i+16:]))
	if before := tail - int64(u32(b[i+12:])); before >= 0 { // it ends where the end begins, also where bytes were put in
		directory = before
	}
	if directory > tail {
		return nil, 0, -1
	}
	b = make([]byte, min(tail-directory, maxEntries*(centralSize+maxName+256)))
	if _, err := r.ReadAt(b, directory); err != nil && err != io.EOF {
		return nil, 0, -1
	}
	for len(b) >= centralSize && u32(b) == 0x02014b50 && len(lines) <= maxEntries+2 {
		name, extra, comment := int(u16(b[28:])), int(u16(b[30:])), int(u16(b[32:]))
		if len(b) < centralSize+name+extra+comment {
			break
		}
		lines = append(lines, line{string(b[centralSize : centralSize+name]), u16(b[10:]), u32(b[24:]), u32(b[42:]), extra, comment})
		b = b[centralSize+name+extra+comment:]
	}
	return lines, directory, tail
}
