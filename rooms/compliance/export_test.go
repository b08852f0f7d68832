package compliance

// Entry is the content of one entry of a bundle.
func Entry(m *Made, name string) []byte {
	for _, e := range m.entries {
		if e.Name == name {
			return e.Data
		}
	}
	return nil
}
