package layer

import "quietroom/ground/id"

// Scan is what a scanner says of bytes that came from outside. Only Safe means
// looked through to the end with fresh signatures, and nothing found. Whatever
// else it is, somebody decides before it is opened.
type Scan struct {
	State   State     // Safe: clean; Urgent: harmful; NotKnown: could not be looked through; YourWord: let in by people
	Name    string    // Urgent: what was found, as the engine calls it
	Why     string    // NotKnown: a fixed word of a-z and dashes; see antivirus.Words
	Finding id.Record // where people decide about it; empty when Safe
}

// Held tells whether the bytes stay isolated until people decide.
func (s Scan) Held() bool { return s.State != Safe && s.State != YourWord }

// Incoming is what a scanner is told of bytes that come in.
type Incoming struct {
	From    string     // a fixed word: "upload", "import", "mail", "portal", "lesson"
	Patient id.Patient // about whom; empty if about nobody, or not known yet
	Name    string     // of the file: only its ending is looked at
	Trial   bool       // only asked: nothing is written down, and nothing is kept of it by the caller
	Taken   bool       // whoever brings it takes it in even where it cannot be looked through
}
