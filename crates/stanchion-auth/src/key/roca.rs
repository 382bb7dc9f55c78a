//! The fingerprint of RSA moduli from Infineon's broken key generator (ROCA, CVE-2017-15361).

/// Small primes modulo which such a modulus is always a power of 65537.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus, big-endian, has the fingerprint; an innocent one has it once in 2^27 or rarer.
pub(super) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|&prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus
        .iter()
        .fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime)
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    for _ in 0..prime {
        if power == value {
            return true;
        }
        power = power * generator % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_powers_of_65537_is_suspect_and_its_neighbour_is_not() {
        assert!(is_suspect(&[1, 0, 1]));
        assert!(!is_suspect(&[1, 0, 3]));
    }
}
