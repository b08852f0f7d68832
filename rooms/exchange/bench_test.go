package exchange_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/madeup"
	"quietroom/rooms/exchange"
)

// BenchmarkImportSamples measures a folder of large patients: parsed, sealed and
// stored, durably. The nine samples are repeated under other identifiers.
func BenchmarkImportSamples(b *testing.B) {
	dir := b.TempDir()
	var size int64
	for i, path := range samples(b) {
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		name := filepath.Base(path)
		own := strings.TrimSuffix(name[strings.LastIndexByte(name, '_')+1:], ".json")
		for k := range 20 {
			twin := bytes.ReplaceAll(data, []byte(own), fmt.Appendf(nil, "%08x%s", k, own[8:]))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d.json", i, k)), twin, 0o600); err != nil {
				b.Fatal(err)
			}
			size += int64(len(twin))
		}
	}
	importFresh(b, dir, size, 180)
}

// BenchmarkImportSmallPatients measures thousands of patients with a few
// resources each, one Bundle a file.
func BenchmarkImportSmallPatients(b *testing.B) {
	const patients = 5000
	dir := crowdOf(b, patients)
	var size int64
	for i := range patients {
		info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%d.json", i)))
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	importFresh(b, dir, size, patients)
}

// importFresh imports a folder into a new house each time.
func importFresh(b *testing.B, dir string, size int64, patients int) {
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		h := newHouse(b)
		b.StartTimer()
		sum, err := h.Import(h.jo, []string{dir}, exchange.Options{Care: []id.Team{h.team}})
		if err != nil || sum.Bad != 0 || sum.New != patients {
			b.Fatalf("%d new patients of %d, %d problems, %v", sum.New, patients, sum.Bad, err)
		}
	}
	b.ReportMetric(float64(patients*b.N)/b.Elapsed().Seconds(), "patients/s")
}

// BenchmarkImportAgain measures an import of what is all here already.
func BenchmarkImportAgain(b *testing.B) {
	paths := samples(b)
	h := newHouse(b)
	h.imports(b, paths...)
	var size int64
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	b.SetBytes(size)
	for b.Loop() {
		if sum := h.imports(b, paths...); sum.Unchanged != len(paths) {
			b.Fatalf("%+v", sum)
		}
	}
}

// BenchmarkExportSmallPatients measures thousands of patients, each with a
// Bundle and a page of its own, durably.
func BenchmarkExportSmallPatients(b *testing.B) {
	const patients = 2000
	h := newHouse(b)
	h.imports(b, crowdOf(b, patients))
	for b.Loop() {
		h.exports(b)
	}
	b.ReportMetric(float64(patients*b.N)/b.Elapsed().Seconds(), "patients/s")
}

// crowdOf is a folder of made-up patients, one Bundle a file.
func crowdOf(b *testing.B, patients int) string {
	b.Helper()
	dir := b.TempDir()
	p := madeup.New(7, patients, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	for i := range patients {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", i)), p.Bundle(i), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}
