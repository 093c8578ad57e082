// `git archive` writes the commit between the dollar signs (see .gitattributes); a clone leaves the line as it is.
#define ARCHIVE_COMMIT "$Format:%H$"
