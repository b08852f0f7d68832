package fhir

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkBundle measures one core from the bytes of a Bundle to its units.
func BenchmarkBundle(b *testing.B) {
	paths, _ := filepath.Glob(filepath.Join(samples(b), "*.json"))
	var size int64
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Read(b.Context(), paths, Options{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkLines measures the same from a Bulk Data folder: two passes.
func BenchmarkLines(b *testing.B) {
	dir := b.TempDir()
	var size int64
	for u, err := range Read(b.Context(), []string{samples(b)}, Options{}) {
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range append(u.Resources, u.Patient) {
			f, err := os.OpenFile(filepath.Join(dir, r.Type+".ndjson"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				b.Fatal(err)
			}
			line := append(bytes.ReplaceAll(r.Raw, []byte(`"urn:uuid:`+u.Patient.ID), []byte(`"Patient/`+u.Patient.ID)), '\n')
			f.Write(line)
			f.Close()
			size += int64(len(line))
		}
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Read(b.Context(), []string{dir}, Options{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkTitles measures what a chart list needs.
func BenchmarkTitles(b *testing.B) {
	var all []Resource
	var size int64
	for u, err := range Read(b.Context(), []string{samples(b)}, Options{}) {
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, u.Resources...)
	}
	for _, r := range all {
		size += int64(len(r.Raw))
	}
	b.SetBytes(size)
	for b.Loop() {
		for _, r := range all {
			Title(r)
		}
	}
}
