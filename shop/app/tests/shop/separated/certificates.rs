use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use shop_cluster::Certificates;

/// Who signs certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Self(issuer.unwrap())
    }

    /// Gives each of these a certificate for this machine, in files.
    pub(super) fn give(&self, folder: &Path, names: &[&str]) {
        let files = Certificates::in_folder(folder);
        fs::write(files.roots(), self.0.pem()).unwrap();
        for name in names {
            let key = KeyPair::generate().unwrap();
            let mut params =
                CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, *name);
            let certificate = params.signed_by(&key, &self.0).unwrap().pem();
            let key = key.serialize_pem();
            fs::write(files.certificate(name), &certificate).unwrap();
            fs::write(files.key(name), &key).unwrap();
            fs::write(files.bundle(name), certificate + &key).unwrap();
        }
    }
}
