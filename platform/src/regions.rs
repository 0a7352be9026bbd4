//! The regions in which the law gives people this right, as data.

/// The European Economic Area and the United Kingdom (contract 2.5), as ISO 3166 codes.
pub const EEA_AND_UK: [&str; 31] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU",
    "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];
