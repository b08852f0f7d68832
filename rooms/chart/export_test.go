package chart

// What tests reach into.
var (
	FileName    = fileName
	Disposition = disposition
	Mark        = mark
	Words       = words
)
