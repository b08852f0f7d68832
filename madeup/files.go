package madeup

import (
	"bytes"
	"fmt"
	"strings"
)

// file writes a small paper: a letter as text, or a form as PDF.
func (w *writer) file(a *Patient, k int) File {
	w.mark = w.canary()
	f := File{At: a.Since.AddDate(0, 0, k), Canary: w.mark}
	stem := strings.ReplaceAll(a.Family+"-"+a.Given, " ", "-") + "-"
	day := f.At.Format("-2006-01-02")
	if w.chance(40) {
		f.Name, f.Type = stem+"letter"+day+".txt", "text/plain; charset=utf-8"
		f.Bytes = []byte(strings.Join(w.letter(a), "\n") + "\n")
		return f
	}
	f.Name, f.Type = stem+"intake-form"+day+".pdf", "application/pdf"
	f.Bytes = pdf(w.form(a))
	return f
}

func (w *writer) letter(a *Patient) []string {
	return []string{
		"Harbor Counseling",
		"",
		"Re: " + a.Given + " " + a.Family + ", born " + a.BirthDate.Format("January 2, 2006"),
		"",
		"Dear colleague,",
		"",
		w.line("thank you for sending {n} to us. We have met {c} times since the referral."),
		w.line("Working diagnosis: ") + a.Diagnoses[0].Text + " (" + a.Diagnoses[0].Code + ").",
		w.line("Sleep is better, work as a {j} goes on, and there is support at home."),
		w.line("We plan {c} further sessions and would be glad of your laboratory results."),
		"",
		w.line("Kind regards. Ref. {x}"),
	}
}

func (w *writer) form(a *Patient) []string {
	return []string{
		"Harbor Counseling: before your first visit",
		"Name: " + a.Given + " " + a.Family,
		"I would like to be called: " + a.Called() + " (" + a.Pronouns + ")",
		"Born: " + a.BirthDate.Format("01/02/2006"),
		"Address: " + a.Address.Line + ", " + a.Address.City + ", " + a.Address.State + " " + a.Address.ZIP,
		"Phone: " + strings.Join(a.Phones, ", "),
		"How may we reach you? " + a.Safe.Words,
		"In an emergency: " + a.Emergency.Name + " (" + a.Emergency.Relation + "), " + a.Emergency.Phone,
		"Insurance: " + a.Insurance.Payer + ", member " + a.Insurance.Member,
		w.line("What brings you here? I do not sleep, and I miss {a}."),
		w.line("Ref. {x}"),
	}
}

// line fills the slots of one sentence that stands by itself.
func (w *writer) line(sentence string) string {
	w.buf = w.buf[:0]
	w.say(sentence)
	return string(w.buf)
}

// pdf sets lines of text on one page: the smallest file that ISO 32000-1
// allows, uncompressed, with a correct table of references. Letters outside
// Latin-1 are written plain.
func pdf(lines []string) []byte {
	var page bytes.Buffer
	page.WriteString("BT /F1 11 Tf 72 740 Td 16 TL\n")
	for _, line := range lines {
		page.WriteByte('(')
		pdfText(&page, line)
		page.WriteString(") Tj T*\n")
	}
	page.WriteString("ET")

	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	var at []int
	object := func(body string) {
		at = append(at, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", len(at), body)
	}
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
	object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>")
	object(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", page.Len(), page.Bytes()))
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
	table := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(at)+1)
	for _, offset := range at {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(at)+1, table)
	return out.Bytes()
}

func pdfText(b *bytes.Buffer, s string) {
	for _, r := range s {
		switch {
		case r == '(' || r == ')' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r < 0x80:
			b.WriteByte(byte(r))
		case r <= 0xff:
			fmt.Fprintf(b, "\\%03o", r)
		default:
			b.WriteString(plain(string(r)))
		}
	}
}
