package tlsfiles

// Optional is the TLS of a section of a configuration whose servers may have none.
type Optional struct {
	Enable bool `yaml:"enable"`
	Files  `yaml:",inline"`
}

// Check reports what is wrong with the section, which stands at key.
func (o *Optional) Check(report func(key, message, remedy string), key string) {
	switch {
	case o.Enable:
		o.Files.Check(report, key)
	case o.Files != (Files{}):
		report(key+".enable", "is false while other keys of tls are set", "set it to true, or remove them")
	}
}

// Check reports what is wrong with the files, which are named at key.
func (f *Files) Check(report func(key, message, remedy string), key string) {
	if (f.Cert == "") != (f.Key == "") {
		report(key+".cert", "cert and key come together", "set both for mutual TLS, or neither")
	} else if _, err := Client(*f); err != nil {
		report(key, err.Error(), "check that the files are there, readable, and PEM")
	}
}
